"""The backend of models that turn texts into vectors. It keeps no cells between requests, and so has no store."""

import contextlib
import dataclasses
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue

from swell.cache import CacheType
from swell.errors import InputTooLongError, InvalidRequestError, KvGrowError, SwellError, UnsupportedError, to_data
from swell.kv.admission import Admission
from swell.kv.policy import most_cells
from swell.llama.embedding import SEQUENCES_MAX, EmbeddingContext
from swell.llama.model import LlamaModel
from swell.processors.governor import Governor
from swell.protocol.messages import (
    CacheCount,
    Cancel,
    Embed,
    Embedded,
    Failed,
    Generate,
    KeepPrefixes,
    Loaded,
    MemoryOffered,
    NeedMemory,
    Prefixes,
    Reply,
    SaveSlots,
    Shrink,
    Shrunk,
    SlotsSaved,
    SlotState,
    SlotStats,
    Stats,
)
from swell.runner.backend import Work
from swell.runner.counters import Counters
from swell.runner.longtexts import LongTexts
from swell.runner.stats import device_uses, process_memory, thread_stats

log = logging.getLogger(__name__)

BATCH_TOKENS = 512
"""Short texts share a batch of this many tokens; a longer one is computed alone, in a context made for it."""

_NO_STORE = "a model for embeddings keeps no cache"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedderMemory:
    """Where an embedder gets memory for long texts: `admission` grants it. A request that is refused memory waits for
    that of other models, up to `wait_s` seconds.

    `reserves`: contexts are made on reserved address space, which takes memory only where it is written.
    """

    admission: Admission
    reserves: bool
    wait_s: float


@dataclasses.dataclass(frozen=True)
class _Shortage:
    """A request waits for memory until, by `time.monotonic`, `until_s`."""

    request: Embed
    until_s: float


class Embedder:
    """Answers one request after the other; between them it keeps only the context for short texts."""

    def __init__(
        self, model: LlamaModel, governor: Governor, memory: EmbedderMemory, deliver: Callable[[Reply], None]
    ) -> None:
        """`deliver` is called from any thread. Raises ContextError or NoEmbeddingsError."""
        self._model = model
        self._governor = governor
        self._wait_s = memory.wait_s
        self._deliver = deliver
        self._inbox: SimpleQueue[Embed | Cancel | MemoryOffered] = SimpleQueue()
        self._waiting: deque[Embed] = deque()
        self._shortages: dict[int, _Shortage] = {}
        self._asked: set[int] = set()
        """Requests that have waited for memory: they do so once."""
        self._cancelled: set[int] = set()
        self._is_busy = False
        self._counters = Counters()
        self._context_max = most_cells(model.trained_tokens, model.weights_bytes)
        self._shared = EmbeddingContext(model, min(BATCH_TOKENS, self._context_max), governor.use.now, fused=False)
        self._long = LongTexts(
            model,
            memory.admission,
            context_max=self._context_max,
            cell_bytes=model.kv_cell_bytes(CacheType.F16) if self._shared.has_cells else 0,
            reserves=memory.reserves,
        )

    def submit(self, work: Work) -> None:
        match work:
            case Generate():
                self._deliver(Failed(work.id, *to_data(UnsupportedError("the model", "generate"))))
            case Shrink():
                self._deliver(Shrunk(work.id))  # it keeps nothing that could be given back
            case SaveSlots() | KeepPrefixes():
                self._deliver(SlotsSaved(work.id, 0))
            case Embed() | Cancel() | MemoryOffered():
                self._inbox.put(work)

    def run(self) -> None:
        while True:
            self.step()

    def step(self) -> None:
        """Answer the next request. If there is none, wait for one, or until a request may wait for memory no longer."""
        if not self._waiting and self._inbox.empty():
            self._governor.rest()
        self._take_work(wait=not self._waiting)
        if self._waiting:
            self._is_busy = True
            self._serve(self._waiting.popleft())
            self._is_busy = False

    def close(self) -> None:
        """Free the contexts. Call it before the model is closed, and nothing else afterwards."""
        self._long.close()
        self._shared.close()

    def describe(self) -> Loaded:
        vocabulary = self._model.vocabulary
        return Loaded(
            context_max=self._context_max,
            slots=1,
            store=None,
            store_reason=_NO_STORE,
            add_bos=vocabulary.add_bos,
            add_eos=vocabulary.add_eos,
            bos_text=vocabulary.text(vocabulary.bos),
            eos_text=vocabulary.text(vocabulary.eos),
            is_on_devices=self._model.is_on_devices,
            devices=device_uses(self._model, self._shared.device_bytes, {}),
        )

    def batches(self) -> int | None:
        return self._counters.batches if self._is_busy else None

    def stats(self, request_id: int, count: CacheCount = CacheCount.PAGES) -> Stats:
        state = SlotState.PREFILL if self._is_busy else SlotState.WAIT if self._shortages else SlotState.IDLE
        granted, resident = self._long.granted_bytes, self._long.resident_bytes
        devices = device_uses(self._model, self._shared.device_bytes, {})
        parts = process_memory(self._model, resident, devices)
        return Stats(
            id=request_id,
            context_max=self._context_max,
            context_used=0,
            context_active=0,
            context_allocated=0,
            context_initial=0,
            slots=1,
            slots_in_use=int(state is not SlotState.IDLE),
            kv_granted_bytes=granted,
            kv_resident_bytes=resident,
            kv_reserved_bytes=granted,
            kv_reclaimable_bytes=0,
            weights_bytes=self._model.weights_bytes,
            weights_resident_bytes=parts.weights_bytes,
            other_bytes=parts.other_bytes,
            resident_bytes=parts.resident_bytes,
            store=None,
            store_reason=_NO_STORE,
            threads=thread_stats(self._governor.use),
            totals=self._counters.totals(),
            slots_detail=[SlotStats(state=state, used=0, granted=0, resident_bytes=resident)],
            devices=devices,
        )

    def prefixes(self, request_id: int) -> Prefixes:
        return Prefixes(request_id, [], [])

    def _take_work(self, *, wait: bool) -> None:
        """Take all work that is there. With `wait`, wait until there is some, or until a wait for memory is over."""
        if wait:
            ends = [shortage.until_s for shortage in self._shortages.values()]
            with contextlib.suppress(Empty):
                self._take(self._inbox.get(timeout=max(0.0, min(ends) - time.monotonic()) if ends else None))
        while not self._inbox.empty():
            self._take(self._inbox.get())
        for request_id, shortage in list(self._shortages.items()):
            if time.monotonic() >= shortage.until_s:
                self._retry(request_id)

    def _take(self, work: Embed | Cancel | MemoryOffered) -> None:
        match work:
            case Embed():
                self._waiting.append(work)
            case Cancel(cancelled_id):
                self._waiting = deque(request for request in self._waiting if request.id != cancelled_id)
                self._shortages.pop(cancelled_id, None)
                self._asked.discard(cancelled_id)
                self._cancelled.add(cancelled_id)
            case MemoryOffered(request_id):
                self._retry(request_id)

    def _retry(self, request_id: int) -> None:
        """Let a request that waits for memory be served next. Does nothing if it was cancelled."""
        if (shortage := self._shortages.pop(request_id, None)) is not None:
            self._asked.add(request_id)
            self._waiting.appendleft(shortage.request)

    def _serve(self, request: Embed) -> None:
        """Answer a request, and free what was allocated for it."""
        self._cancelled.clear()  # requests that were waiting are gone already
        reply: Reply | None
        try:
            reply = self._compute(request)
        except SwellError as error:
            reply = Failed(request.id, *to_data(error))
        finally:
            self._asked.discard(request.id)
            self._long.close()
        if reply is not None:
            self._deliver(reply)

    def _compute(self, request: Embed) -> Embedded | None:
        """The answer, computed batch by batch. None if the request was cancelled between two batches, or has to wait
        for memory while others are served. Raises SwellError if it fails.
        """
        self._check(request.inputs)
        try:
            self._context_for(max(map(len, request.inputs), default=0))
        except KvGrowError as error:
            self._ask(request, error)
            return None
        self._counters.tokens_cut(request.cut_tokens)
        vectors: list[bytes] = []
        for texts in batches(request.inputs, self._shared.capacity):
            context = self._context_for(sum(map(len, texts)))
            context.use_threads(self._governor.threads_for_step((request.threads,)))
            vectors += context.embed(texts)
            self._long.note()
            self._counters.batch_computed(sum(map(len, texts)))
            self._counters.prompt_read(sum(map(len, texts)))
            self._take_work(wait=False)
            if request.id in self._cancelled:
                return None
        return Embedded(request.id, vectors)

    def _ask(self, request: Embed, error: KvGrowError) -> None:
        """Let `request` wait, and ask for memory of other models; raises `error` if that was done for it before."""
        if request.id in self._asked or self._wait_s == 0:
            raise error
        log.info("%s; asking for what other models have", error)
        self._shortages[request.id] = _Shortage(request, time.monotonic() + self._wait_s)
        self._deliver(NeedMemory(id=request.id, missing_bytes=error.missing_bytes))

    def _check(self, inputs: Sequence[Sequence[int]]) -> None:
        """Refuse inputs at which llama.cpp ends the process: empty ones, and those longer than it was trained for."""
        if not all(inputs):
            raise InvalidRequestError("an input without tokens has no embedding")
        if max(map(len, inputs), default=0) > self._context_max:
            raise InputTooLongError

    def _context_for(self, tokens: int) -> EmbeddingContext:
        """A context for at least `tokens`; raises KvGrowError or ContextError."""
        return self._shared if tokens <= self._shared.capacity else self._long.open(tokens, self._governor.use.now)


def batches(texts: Sequence[list[int]], tokens: int) -> Iterator[list[list[int]]]:
    """`texts` in order, in groups of up to `tokens` tokens and SEQUENCES_MAX texts; a longer text is a group alone."""
    group: list[list[int]] = []
    for text in texts:
        if group and (len(group) == SEQUENCES_MAX or sum(map(len, group)) + len(text) > tokens):
            yield group
            group = []
        group.append(text)
    if group:
        yield group
