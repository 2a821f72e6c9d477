"""A text of tokens that are ordinary ones in every vocabulary, also in one of bytes. Each of them is computed."""

_FIRST_TOKEN, _TOKENS, _STEP = 20, 200, 37


def token_at(position: int) -> int:
    return _FIRST_TOKEN + position * _STEP % _TOKENS


def text(tokens: int, start: int = 0) -> list[int]:
    """So many tokens of it from position `start` on."""
    return [token_at(position) for position in range(start, start + tokens)]
