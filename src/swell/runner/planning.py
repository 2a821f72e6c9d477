"""Which tokens the next batch computes. Pure: needs no model, changes nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from swell.runner.slots import EngineRequest, Slot


class SlotBatch(NamedTuple):
    """A slot's part of a batch: its `size` tokens from position `start` on.

    `logits_index` is the place in the batch of the last token that is known, whose logits give the next one; None
    where the slot has more tokens to compute first.
    """

    slot: Slot
    request: EngineRequest
    start: int
    size: int
    logits_index: int | None


class BatchPlan(NamedTuple):
    """The parts of a batch in their order, and the index of the slot that comes first in the next one."""

    parts: list[SlotBatch]
    first: int


def plan(slots: Sequence[Slot], budget: int, first: int) -> BatchPlan:
    """Fill a batch of `budget` tokens: one of each request that generates, and of prompts as much as there is room for.

    If not all slots fit in, those from index `first` on come first.
    """
    counts, first = divide([slot.wanted for slot in slots], budget, first)
    parts, total = [], 0
    for slot, count in zip(slots, counts, strict=True):
        if count and slot.request is not None:
            total += count
            logits_index = total - 1 if count == slot.pending else None
            parts.append(SlotBatch(slot, slot.request, slot.stored, count, logits_index))
    return BatchPlan(parts, first)


def divide(wanted: Sequence[int], budget: int, first: int) -> tuple[list[int], int]:
    """Divide `budget` tokens among slots that want so many each, in turn from slot `first` on.

    Returns how many each slot gets, and which slot comes first the next time. Every slot gets a token while there is
    room: a prompt holds up no generation, and generations no prompt. What is left is divided evenly among those that
    want more, so that a short prompt needn't wait until a long one is read. Of n slots that want something, each gets
    it in one of ceil(n / budget) batches: the first that gets nothing comes first in the next.
    """
    turn = [*range(first, len(wanted)), *range(first)]
    counts = [0] * len(wanted)
    while budget and (unmet := [slot for slot in turn if counts[slot] < wanted[slot]]):
        part = max(budget // len(unmet), 1)
        for slot in unmet[:budget]:
            count = min(part, wanted[slot] - counts[slot])
            counts[slot] += count
            budget -= count
    left_out = (slot for slot in turn if wanted[slot] and not counts[slot])
    return counts, next(left_out, first)
