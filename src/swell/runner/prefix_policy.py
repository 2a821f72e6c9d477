"""Which conversations are worth a file, and which file is worth reading. Pure."""

from collections.abc import Sequence

from swell.runner.slots import common_prefix

SAVED_TOKENS_MIN = 256
"""Shorter ones are read again, which takes about a second on a small model."""
LOADED_PART_MIN = 1 / 16
"""Of a file: all of it has to be read. A token is read from a file some hundred times as fast as it is computed."""


def is_lost(stored: int, keep: int) -> bool:
    """Whether a slot that forgets all but the first `keep` of its tokens loses a conversation, not just its end."""
    return stored >= SAVED_TOKENS_MIN and keep < stored / 2


def covers(tokens: Sequence[int], checkpoints: Sequence[int] | None, others: Sequence[int]) -> bool:
    """Whether a file of `tokens`, as in `usable`, is of as much use as one that ends after `others`."""
    if tokens[: len(others)] != others:
        return False
    return checkpoints is None or len(others) == len(tokens) or len(others) in checkpoints


def usable(tokens: Sequence[int], checkpoints: Sequence[int] | None, prompt: Sequence[int]) -> int:
    """How many tokens of `prompt` needn't be computed with a file of `tokens`; 0 if reading it doesn't pay.

    It can be cut at its `checkpoints`, in ascending order, and at its end; None: anywhere.
    """
    shared = common_prefix(tokens, prompt)
    if shared < LOADED_PART_MIN * len(tokens):
        return 0
    if checkpoints is None or shared == len(tokens) < len(prompt):
        return shared
    return max((one for one in checkpoints if one <= shared), default=0)
