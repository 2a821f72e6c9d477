"""How a batch is shared among slots. Pure: numbers in, numbers out."""

from collections.abc import Sequence
from typing import NamedTuple


class BatchPlan(NamedTuple):
    """How many tokens of each slot a batch computes, and which slot comes first in the next one."""

    counts: list[int]
    first: int


def plan(wanted: Sequence[int], room: int, first: int) -> BatchPlan:
    """Share a batch of `room` tokens among slots that want so many each, in turn from slot `first` on.

    Everyone gets a token while there is room: a prompt holds up no generation, and generations no prompt. What is left
    is divided evenly among those that want more, so that a short prompt needn't wait until a long one is read. Of n
    that want something, each gets it in one of ceil(n / room) batches: whoever gets nothing comes first in the next.
    """
    turn = [*range(first, len(wanted)), *range(first)]
    counts = [0] * len(wanted)
    while room and (unmet := [slot for slot in turn if counts[slot] < wanted[slot]]):
        part = max(room // len(unmet), 1)
        for slot in unmet[:room]:
            count = min(part, wanted[slot] - counts[slot])
            counts[slot] += count
            room -= count
    left_out = (slot for slot in turn if wanted[slot] and not counts[slot])
    return BatchPlan(counts, next(left_out, first))
