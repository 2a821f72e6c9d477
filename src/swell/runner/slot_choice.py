"""Which slot a request gets. Pure: compares tokens, moves nothing."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from swell.runner.slots import Slot

COPY_TOKENS_MIN = 64
"""Fewer tokens are computed again rather than copied: 64 take 300 ms on a small model, longer on others (measured:
copying cells of 45 MB takes 17 to 33 ms)."""


class SlotChoice(NamedTuple):
    """An idle slot for a request, and the slot whose beginning is copied into it first, if that pays. `reused` is about
    how many tokens need not be computed then; `shared` is how many at the beginning of the prompt some slot has.
    """

    slot: Slot
    source: Slot | None
    reused: int
    shared: int


def choose_slot(slots: Sequence[Slot], prompt: Sequence[int], copyable: Callable[[int, int], int]) -> SlotChoice | None:
    """The slot in which most of `prompt` need not be computed, at the least loss; None when no slot is idle.

    A slot that holds a longer conversation is left alone if the beginning it shares can be copied into another one:
    `copyable` says of a slot's index and a number of tokens how many of these can be.
    """
    idle = [slot for slot in slots if slot.request is None]
    if not idle:
        return None
    shared = {slot.index: slot.common_prefix(prompt) for slot in slots}
    most = max(shared.values())
    reusable = {slot.index: _worth(slot, slot.cells.reachable(shared[slot.index])) for slot in idle}
    copied = {slot.index: copyable(slot.index, shared[slot.index]) for slot in slots}
    best_idle = max(idle, key=lambda slot: (reusable[slot.index], -slot.stored, -slot.last_used_ns))
    without_copy = SlotChoice(best_idle, None, reusable[best_idle.index], most)
    source = max(slots, key=lambda slot: (copied[slot.index], slot.request is None, -slot.stored))
    target = least_used(idle)
    count = copied[source.index]
    goes_on = source.request is None and source.stored - count < COPY_TOKENS_MIN
    if goes_on or target is source or count - reusable[target.index] < COPY_TOKENS_MIN:
        return without_copy
    is_dearer = source.request is None and target.stored > source.stored - count
    return without_copy if is_dearer or count < reusable[best_idle.index] else SlotChoice(target, source, count, most)


def _worth(slot: Slot, reusable: int) -> int:
    """How many of its tokens count: none where a conversation would be lost for the few with which all begin."""
    return reusable if reusable >= min(COPY_TOKENS_MIN, slot.stored / 2) else 0


def least_used(idle: Sequence[Slot]) -> Slot:
    """The slot of which least is lost if it is given something else."""
    return min(idle, key=lambda slot: (slot.stored, slot.last_used_ns))
