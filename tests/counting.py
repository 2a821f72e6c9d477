"""The counting oracle: the real model, shown 1 to 39, goes on counting without a slip for more than 100 numbers.

So a token that is lost, repeated or computed from wrong cells shows as a number that doesn't follow the one before.
"""


def counted(first: int, numbers: int) -> str:
    """A prompt of so many numbers. From any of 1 to 12 on, 30 are enough for the model to go on without a slip."""
    return "".join(f"{number} " for number in range(first, first + numbers))


def expected(first: int, characters: int) -> str:
    """The continuation from `first`, cut to a number of characters."""
    return counted(first, characters)[:characters]


PROMPT = counted(1, 39)
