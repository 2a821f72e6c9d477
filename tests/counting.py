"""The counting oracle: the real model, shown 1 to 39, goes on counting without a slip for more than 100 numbers.

So a token that is lost, repeated or computed from wrong cells shows as a number that doesn't follow the one before.
"""

PROMPT = "".join(f"{number} " for number in range(1, 40))


def expected(first: int, characters: int) -> str:
    """The continuation from `first`, cut to a number of characters."""
    return "".join(f"{number} " for number in range(first, first + characters))[:characters]
