"""Slots, and the generations that occupy them.

There is no prefill phase and no decode phase, only tokens whose cells are stored catching up with tokens that are
known: a prompt makes many known at once, sampling one at a time.
"""

import dataclasses
import time
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from swell.kv.cells import SlotCells
from swell.llama.sampler import Sampler
from swell.protocol.messages import SlotState


class MemoryWait(Enum):
    """For what a generation waits that lacks memory."""

    OTHERS = "what other models give back"
    PAUSE = "the end of another generation; it has given up its cells"


@dataclasses.dataclass(frozen=True)
class Shortage:
    """A generation waits for memory to hold `cells`, until that is offered or, by `time.monotonic`, `until_s`."""

    cells: int
    until_s: float
    wait: MemoryWait

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until_s


@dataclasses.dataclass(eq=False)
class EngineRequest:
    """A prompt being carried on. Times are of `time.perf_counter_ns`.

    Of the `known` tokens, the first `read_tokens` are computed in chunks, later ones one by one, as they were sampled:
    how many tokens are computed together shows in the last bits, and now and then in the choice of a token (3 of 48
    stories went on differently when what had been generated was read like a prompt; none did one by one).
    """

    id: int
    known: list[int]
    read_tokens: int
    window_tokens: int
    limit_tokens: int
    batch_tokens: int
    """No more of its tokens are computed together."""
    threads: int | None
    """With so many it wants to be computed."""
    sampler: Sampler
    keep_tokens: int | None = None
    top_logprobs: int | None = None
    visible: dict[int, bytes] = dataclasses.field(default_factory=dict)
    """Control tokens that are shown, and how."""
    cached_tokens: int = 0
    generated_tokens: int = 0
    started_ns: int = 0
    prefilled_ns: int = 0
    shortage: Shortage | None = None


@dataclasses.dataclass(eq=False)
class Slot:
    """One sequence. `tokens[:stored]` have their cells in the cache; the rest waits to be computed."""

    index: int
    cells: SlotCells
    tokens: list[int] = dataclasses.field(default_factory=list)
    generation: EngineRequest | None = None
    last_used_ns: int = 0

    @property
    def stored(self) -> int:
        return self.cells.stored

    @property
    def state(self) -> SlotState:
        generation = self.generation  # read once: another thread may ask
        if generation is None:
            return SlotState.IDLE
        if generation.shortage is not None:
            return SlotState.WAIT
        return SlotState.GENERATE if generation.prefilled_ns else SlotState.PREFILL

    @property
    def pending(self) -> int:
        """Known tokens that are still to be computed."""
        return len(self.tokens) - self.stored

    @property
    def wanted(self) -> int:
        """How many of the pending tokens the next batch may compute: none while it waits for memory."""
        generation = self.generation
        if generation is None or generation.shortage is not None:
            return 0
        return min(self.pending, generation.batch_tokens, max(1, generation.read_tokens - self.stored))

    @property
    def shortage(self) -> Shortage | None:
        """What its generation waits for, if it does."""
        return self.generation.shortage if self.generation else None

    def common_prefix(self, prompt: Sequence[int]) -> int:
        """How many tokens at the start of `prompt` are in the cache already."""
        limit = min(self.stored, len(prompt))
        if self.tokens[:limit] == prompt[:limit]:
            return limit
        return next(index for index in range(limit) if self.tokens[index] != prompt[index])


def forgotten(tokens: int, keep: int, window_tokens: int) -> range:
    """Which positions to forget when a window of that many tokens is full: half of what follows the first `keep`.

    The newest of `tokens` has no cell yet and is not counted.
    """
    keep = min(keep, window_tokens - 2)
    return range(keep, keep + max((tokens - 1 - keep) // 2, 1))


def recall(generation: EngineRequest, emitted: Sequence[int]) -> None:
    """Go through what was `emitted` elsewhere: afterwards the generation knows what it knew there.

    So many tokens that computing them one by one would keep a client waiting are read like a prompt.
    """
    for token in emitted:
        generation.known.append(token)
        if len(generation.known) >= generation.window_tokens and generation.keep_tokens is not None:
            gap = forgotten(len(generation.known), generation.keep_tokens, generation.window_tokens)
            del generation.known[gap.start : gap.stop]
            generation.read_tokens = len(generation.known)
    generation.generated_tokens = len(emitted)
    if len(generation.known) - generation.read_tokens > RECALL_TOKENS_MAX:
        generation.read_tokens = len(generation.known)


RECALL_TOKENS_MAX = 512
"""Computed one by one on the smallest model in about 6 s; a prompt of as many tokens takes 2 s."""


class Place(NamedTuple):
    """Where a generation goes: a slot, and the slot whose beginning is copied into it first, if that pays."""

    slot: Slot
    source: Slot | None


COPY_TOKENS_MIN = 64
"""Fewer tokens are computed again rather than copied: copying a slot takes about 10 ms, computing 64 tokens 300 ms on a
small model and longer on any other (measured: 45 MB of state in 17 to 33 ms)."""


def choose_place(slots: Sequence[Slot], prompt: Sequence[int], *, can_copy: bool) -> Place | None:
    """The place where most of `prompt` need not be computed, at the least loss; None when no slot is idle.

    A slot that holds a longer conversation is left alone if the beginning it shares can be copied into another one.
    """
    idle = [slot for slot in slots if slot.generation is None]
    if not idle:
        return None
    shared = {slot.index: slot.common_prefix(prompt) for slot in slots}
    best_idle = max(idle, key=lambda slot: (shared[slot.index], -slot.stored, -slot.last_used_ns))
    if not can_copy:
        return Place(best_idle, None)
    best = max(slots, key=lambda slot: (shared[slot.index], slot.generation is None, -slot.stored))
    count = shared[best.index]
    continues_it = best.generation is None and best.stored - count < COPY_TOKENS_MIN
    target = min(idle, key=lambda slot: (slot.stored, slot.last_used_ns))
    if continues_it or count < COPY_TOKENS_MIN or count - shared[target.index] < COPY_TOKENS_MIN or target is best:
        return Place(best_idle, None)
    is_dearer = best.generation is None and target.stored > best.stored - count
    return Place(best_idle, None) if is_dearer else Place(target, best)
