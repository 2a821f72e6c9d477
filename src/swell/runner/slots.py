"""Slots, and the requests that occupy them. Pure: imports no llama.cpp.

There is no prefill phase and no decode phase, only tokens whose cells are stored catching up with tokens that are
known: a prompt makes many known at once, sampling one at a time.
"""

import dataclasses
from collections.abc import Sequence
from enum import Enum
from typing import Any, NamedTuple, Protocol

from swell.kv.cells import SlotCells
from swell.protocol.messages import SlotState


class TokenSampler(Protocol):
    """What is asked of the `Sampler` in `swell.llama.sampler` once it is made."""

    def sample(self, context: Any, batch_index: int) -> int:
        """The next token, from the logits at `batch_index` of the batch that the `Context` decoded last."""

    def close(self) -> None:
        """Free it; further calls do nothing."""


class Reuse(NamedTuple):
    """Of the tokens of a prompt, how many at its beginning some slot had, and how many needn't be read again."""

    prompt_tokens: int
    shared_tokens: int
    cached_tokens: int

    def __str__(self) -> str:
        prompt, shared, cached = self
        end = "all of it was there" if shared == prompt else f"it differs at token {shared + 1}"
        return f"{cached} tokens of the prompt's {prompt} needn't be read again; {end}"


class MemoryWait(Enum):
    """What a request waits for that lacks memory."""

    OTHERS = "what other models give back"
    PAUSE = "the end of another request; it has given up its cells"


@dataclasses.dataclass(frozen=True)
class Shortage:
    """A request waits for memory to hold `cells`: until it is told to try again, or `until_s` by `time.monotonic`."""

    cells: int
    until_s: float
    wait: MemoryWait


@dataclasses.dataclass(eq=False)
class EngineRequest:
    """A prompt that is being continued. Times are of `time.perf_counter_ns`.

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
    """At most so many of its tokens are computed in one batch."""
    threads: int | None
    """How many threads it asks to be computed with; None leaves that open."""
    sampler: TokenSampler
    stops: tuple[int, ...] = ()
    """Numbers of tokens, ascending, at which reading pauses for a checkpoint."""
    keep_tokens: int | None = None
    top_logprobs: int | None = None
    visible: dict[int, bytes] = dataclasses.field(default_factory=dict)
    """Control tokens that are shown, and how."""
    generated_tokens: int = 0
    started_ns: int = 0
    prefilled_ns: int = 0
    shortage: Shortage | None = None


@dataclasses.dataclass(eq=False)
class Slot:
    """One sequence. `tokens[:stored]` have their cells in the cache; the rest is still to be computed."""

    index: int
    cells: SlotCells
    tokens: list[int] = dataclasses.field(default_factory=list)
    request: EngineRequest | None = None
    last_used_ns: int = 0
    reuse: Reuse = Reuse(0, 0, 0)
    """Of the latest request."""

    @property
    def stored(self) -> int:
        return self.cells.stored

    @property
    def state(self) -> SlotState:
        request = self.request  # read once: another thread may ask
        if request is None:
            return SlotState.IDLE
        if request.shortage is not None:
            return SlotState.WAIT
        return SlotState.GENERATE if request.prefilled_ns else SlotState.PREFILL

    @property
    def pending(self) -> int:
        """Known tokens that are still to be computed."""
        return len(self.tokens) - self.stored

    @property
    def wanted(self) -> int:
        """How many of the pending tokens the next batch may compute: none while the request waits for memory."""
        request = self.request
        if request is None or request.shortage is not None:
            return 0
        stop = next((stop for stop in request.stops if stop > self.stored), len(self.tokens))
        return min(self.pending, request.batch_tokens, max(1, request.read_tokens - self.stored), stop - self.stored)

    @property
    def shortage(self) -> Shortage | None:
        """What its request waits for; None when it doesn't wait, or when there is none."""
        return self.request.shortage if self.request else None

    def common_prefix(self, prompt: Sequence[int]) -> int:
        """How many tokens at the start of `prompt` are in the cache already."""
        return common_prefix(self.tokens[: self.stored], prompt)


def common_prefix(tokens: Sequence[int], others: Sequence[int]) -> int:
    """How many tokens both begin with. Takes time in proportion to that."""
    low, step, end = 0, 64, min(len(tokens), len(others))
    while low + step <= end and tokens[low : low + step] == others[low : low + step]:
        low, step = low + step, step * 2
    high = min(low + step, end)
    while low < high:
        middle = (low + high + 1) // 2
        if tokens[low:middle] == others[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
