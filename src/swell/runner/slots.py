"""Slots, and the generations that occupy them.

There is no prefill phase and no decode phase, only tokens whose cells are stored catching up with tokens that are
known: a prompt makes many known at once, sampling one at a time.
"""

import dataclasses
import sys
from collections.abc import Sequence

from swell.kv.store import SlotCells
from swell.llama.sampler import Sampler
from swell.protocol.messages import SlotState


@dataclasses.dataclass(eq=False)
class Generation:
    """A prompt being carried on. Times are of `time.perf_counter_ns`."""

    id: int
    prompt: list[int]
    window_tokens: int
    limit_tokens: int
    sampler: Sampler
    keep_tokens: int | None = None
    top_logprobs: int | None = None
    cached_tokens: int = 0
    generated_tokens: int = 0
    started_ns: int = 0
    prefilled_ns: int = 0


@dataclasses.dataclass(eq=False)
class Slot:
    """One sequence. `tokens[:stored]` have their cells in the cache; the rest waits to be computed."""

    index: int
    cells: SlotCells
    tokens: list[int] = dataclasses.field(default_factory=list)
    generation: Generation | None = None
    last_used_ns: int = 0
    intact: int = sys.maxsize
    """How many of the first tokens have cells that know of nothing else: after a shift, those before the gap."""

    @property
    def stored(self) -> int:
        return self.cells.stored

    @property
    def state(self) -> SlotState:
        if self.generation is None:
            return SlotState.IDLE
        return SlotState.GENERATE if self.generation.prefilled_ns else SlotState.PREFILL

    @property
    def pending(self) -> int:
        """Known tokens that are still to be computed."""
        return len(self.tokens) - self.stored

    def common_prefix(self, prompt: Sequence[int]) -> int:
        """How many tokens at the start of `prompt` are in the cache already."""
        limit = min(self.stored, self.intact, len(prompt))
        if self.tokens[:limit] == prompt[:limit]:
            return limit
        return next(index for index in range(limit) if self.tokens[index] != prompt[index])


def choose_slot(slots: Sequence[Slot], prompt: Sequence[int]) -> Slot | None:
    """The idle slot that shares most of `prompt`; among equals the one that loses least, then the longest unused."""
    idle = [slot for slot in slots if slot.generation is None]
    return max(
        idle,
        key=lambda slot: (slot.common_prefix(prompt), -slot.stored, -slot.last_used_ns),
        default=None,
    )
