"""The worker of models that turn texts into vectors. It keeps no cells between requests, and so has no store."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue

from swell.errors import InputTooLongError, InvalidRequestError, SwellError, UnsupportedError, to_data
from swell.llama.embedding import SEQUENCES_MAX, EmbeddingContext
from swell.llama.model import Model
from swell.processors.governor import Governor
from swell.protocol.messages import (
    Cancel,
    Embed,
    Embedded,
    Failed,
    Generate,
    Loaded,
    Reply,
    SaveSlots,
    Shrink,
    Shrunk,
    SlotsSaved,
    SlotState,
    SlotStats,
    Stats,
    Totals,
)
from swell.runner.stats import device_uses, process_memory, thread_stats
from swell.runner.worker import Work

BATCH_TOKENS = 512
"""Short texts share a batch of this many tokens; a longer one is computed alone, in a context made for it."""

_NO_STORE = "a model for embeddings keeps no cache"


class Embedder:
    """Serves one request after the other; between them it keeps only the context for short texts."""

    def __init__(self, model: Model, governor: Governor, deliver: Callable[[Reply], None]) -> None:
        """`deliver` is called from any thread. Raises ContextError or NoEmbeddingsError."""
        self._model = model
        self._governor = governor
        self._deliver = deliver
        self._inbox: SimpleQueue[Embed | Cancel] = SimpleQueue()
        self._waiting: deque[Embed] = deque()
        self._cancelled: set[int] = set()
        self._is_busy = False
        self._totals = Totals()
        self._context_max = max(model.trained_tokens, 1)
        self._shared = EmbeddingContext(model, min(BATCH_TOKENS, self._context_max), governor.use.now, fused=False)
        self._long: EmbeddingContext | None = None

    def submit(self, work: Work) -> None:
        match work:
            case Generate():
                self._deliver(Failed(work.id, *to_data(UnsupportedError("the model", "generate"))))
            case Shrink():
                self._deliver(Shrunk(work.id))  # it never has more than it needs
            case SaveSlots():
                self._deliver(SlotsSaved(work.id, 0))
            case Embed() | Cancel():
                self._inbox.put(work)

    def run(self) -> None:
        while True:
            self.step()

    def step(self) -> None:
        """Serve the next request; waits for one."""
        if not self._waiting and self._inbox.empty():
            self._governor.rest()
        self._take_work(wait=not self._waiting)
        if self._waiting:
            self._is_busy = True
            self._serve(self._waiting.popleft())
            self._is_busy = False

    def close(self) -> None:
        """Free the context, before the model; nothing else may be called afterwards."""
        self._free_long()
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
            devices=device_uses(self._model, self._shared.device_bytes, 0),
        )

    def batches(self) -> int | None:
        return self._totals.batches if self._is_busy else None

    def stats(self, request_id: int) -> Stats:
        state = SlotState.PREFILL if self._is_busy else SlotState.IDLE
        parts = process_memory(self._model, kv_bytes=0)
        return Stats(
            id=request_id,
            context_max=self._context_max,
            context_used=0,
            context_active=0,
            context_allocated=0,
            context_initial=0,
            slots=1,
            slots_in_use=int(state is SlotState.PREFILL),
            kv_granted_bytes=0,
            kv_resident_bytes=0,
            kv_reserved_bytes=0,
            kv_reclaimable_bytes=0,
            weights_bytes=self._model.weights_bytes,
            weights_resident_bytes=parts.weights_bytes,
            other_bytes=parts.other_bytes,
            resident_bytes=parts.resident_bytes,
            store=None,
            store_reason=_NO_STORE,
            threads=thread_stats(self._governor.use),
            totals=self._totals,
            slots_detail=[SlotStats(state=state, used=0, granted=0, resident_bytes=0)],
            devices=device_uses(self._model, self._shared.device_bytes, 0),
        )

    def _take_work(self, *, wait: bool) -> None:
        """Take all work that is there; with `wait`, at least one piece."""
        while wait or not self._inbox.empty():
            wait = False
            match self._inbox.get():
                case Embed() as request:
                    self._waiting.append(request)
                case Cancel(cancelled_id):
                    self._waiting = deque(request for request in self._waiting if request.id != cancelled_id)
                    self._cancelled.add(cancelled_id)

    def _serve(self, request: Embed) -> None:
        """Compute a request batch by batch; between two of them it may be cancelled."""
        self._cancelled.clear()  # requests that were waiting are gone already
        vectors: list[bytes] = []
        try:
            self._check(request.inputs)
            self._totals.cut += request.cut_tokens
            for texts in batches(request.inputs, self._shared.capacity):
                context = self._context_for(sum(map(len, texts)))
                context.use_threads(self._governor.threads_for_step())
                vectors += context.embed(texts)
                self._totals.batches += 1
                self._totals.prompt += sum(map(len, texts))
                self._take_work(wait=False)
                if request.id in self._cancelled:
                    return
        except SwellError as error:
            self._deliver(Failed(request.id, *to_data(error)))
        else:
            self._deliver(Embedded(request.id, vectors))
        finally:
            self._free_long()

    def _check(self, inputs: Sequence[Sequence[int]]) -> None:
        """Refuses what would end the process: there are no positions beyond the trained length."""
        if not all(inputs):
            raise InvalidRequestError("an input without tokens has no embedding")
        if max(map(len, inputs), default=0) > self._context_max:
            raise InputTooLongError

    def _context_for(self, tokens: int) -> EmbeddingContext:
        """A context of at least `tokens`; raises ContextError."""
        if tokens <= self._shared.capacity:
            return self._shared
        if self._long is None or self._long.capacity < tokens:
            self._free_long()
            capacity = min(_power_of_two(tokens), self._context_max)
            self._long = EmbeddingContext(self._model, capacity, self._governor.use.now, fused=True)
        return self._long

    def _free_long(self) -> None:
        if self._long is not None:
            self._long.close()
            self._long = None


def batches(texts: Sequence[list[int]], tokens: int) -> Iterator[list[list[int]]]:
    """`texts` in order, in groups of up to `tokens` tokens and SEQUENCES_MAX texts; a longer text comes alone."""
    group: list[list[int]] = []
    for text in texts:
        if group and (len(group) == SEQUENCES_MAX or sum(map(len, group)) + len(text) > tokens):
            yield group
            group = []
        group.append(text)
    if group:
        yield group


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()
