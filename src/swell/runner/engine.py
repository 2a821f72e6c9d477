"""The engine: one thread that decodes batches over all slots and samples from them.

It does no I/O. Requests come through a queue; what a step gave leaves through one call of `deliver`, which hands it to
the event-loop thread. That one works while `llama_decode` runs, because ctypes releases the GIL meanwhile.
"""

import contextlib
import dataclasses
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

from swell.errors import AbortedError, DecodeError, InvalidRequestError, KvGrowError, SwellError, to_data
from swell.kv.base import KvStore
from swell.llama.batch import Batch
from swell.llama.logprobs import logprobs
from swell.llama.model import Vocabulary
from swell.processors.governor import Governor
from swell.protocol.messages import (
    Cancel,
    Emitted,
    Failed,
    Finished,
    FinishReason,
    Generate,
    MemoryOffered,
    NeedMemory,
    Prefilled,
    SaveSlots,
    Shrink,
    Shrunk,
    SlotsSaved,
    SlotState,
    StepOutput,
    TokenAlternative,
    TokenLikelihood,
    Totals,
)
from swell.runner.handover import save
from swell.runner.memory import SlotMemory
from swell.runner.planning import plan
from swell.runner.preparing import Prepared, Preparer
from swell.runner.shortages import Shortages
from swell.runner.slots import EngineRequest, Place, Slot, choose_place, forgotten

log = logging.getLogger(__name__)

Work = Generate | Cancel | Shrink | MemoryOffered | SaveSlots


@dataclasses.dataclass(frozen=True)
class SlotBatch:
    """A slot's part of a batch: its next `count` tokens; `logits_index` where a token is to be sampled after them."""

    slot: Slot
    count: int
    logits_index: int | None


class Engine:
    """Continuous batching: every step computes a token of each running generation and fills up with prompts."""

    def __init__(
        self,
        store: KvStore,
        vocabulary: Vocabulary,
        governor: Governor,
        batch_tokens: int,
        deliver: Callable[[StepOutput], None],
        *,
        tell: Callable[[NeedMemory | Shrunk | SlotsSaved], None] = lambda _message: None,
        idle_shrink_s: float = math.inf,
        memory_wait_s: float = 0,
    ) -> None:
        """`deliver` and `tell` are called from the engine's thread. After `idle_shrink_s` without work, memory is given
        back. A generation that is refused memory asks for that of other models, and waits up to `memory_wait_s` for it.
        """
        self.slots = [Slot(index, cells) for index, cells in enumerate(store.cells)]
        self._store = store
        self._vocabulary = vocabulary
        self._governor = governor
        self._batch = Batch(batch_tokens)
        self._first = 0
        """The slot that comes first in the next batch, if not all fit."""
        self.totals = Totals()
        self._memory = SlotMemory(self.slots, store, self.totals)
        self._deliver = deliver
        self._tell = tell
        self._shortages = Shortages(
            self.slots, store, self._memory, self.totals, tell=tell, fail=self._fail, wait_s=memory_wait_s
        )
        # the state of a recurrent layer is that of the last token, a window's cells are those of the last tokens
        self._can_copy = not (store.context.model.is_recurrent or store.context.model.window_tokens)
        self._idle_shrink_s = None if idle_shrink_s == math.inf else idle_shrink_s
        self._inbox: SimpleQueue[Work | Prepared] = SimpleQueue()
        self._preparer = Preparer(vocabulary, batch_tokens, self._inbox.put)
        self._waiting: deque[EngineRequest] = deque()

    def submit(self, work: Work) -> None:
        """Hand in work; callable from any thread."""
        self._inbox.put(work)
        if isinstance(work, Cancel) and self._is_alone(work.id):
            # nobody else's tokens are in the batch that may be running: stop it too, a prompt batch takes seconds
            self._store.context.request_abort()

    @property
    def is_computing(self) -> bool:
        """Whether a generation is there that doesn't wait for memory."""
        return any(slot.state in (SlotState.PREFILL, SlotState.GENERATE) for slot in self.slots)

    @property
    def reclaimable_bytes(self) -> int:
        """What would be given back for another model."""
        return self._memory.reclaimable_bytes()

    def run(self) -> None:
        """Work until the process ends."""
        while True:
            self._take_work()
            self.step()

    def step(self) -> None:
        """Compute one batch and deliver what it gave."""
        self._step = StepOutput([], [], [], [], [])
        self._admit()
        shares = self._plan()
        if shares and self._decode(shares):
            for share in shares:
                self._advance(share)
        if self._step != StepOutput():
            self._deliver(self._step)

    # --- work coming in ----------------------------------------------------------------------------------------

    def _take_work(self) -> None:
        """Take all work that is there; wait for some when there is nothing to do."""
        if not self._running() and not (self._waiting and len(self._busy()) < len(self.slots)):
            self._governor.rest()
            if self._busy():
                self._wait_for_memory()
            else:
                self._take(self._wait())
        while not self._inbox.empty():
            self._take(self._inbox.get())

    def _wait(self) -> Work | Prepared:
        """The next work. If it takes long to come, memory beyond the cached prefixes goes back meanwhile."""
        try:
            return self._inbox.get(timeout=self._idle_shrink_s)
        except Empty:
            self._memory.compact()
            return self._inbox.get()

    def _wait_for_memory(self) -> None:
        """Every generation lacks memory: wait for work, or until one of them may wait no longer."""
        remaining_s = self._shortages.next_end_s() - time.monotonic()
        with contextlib.suppress(Empty):
            self._take(self._inbox.get(timeout=max(0.0, remaining_s)))

    def _take(self, work: Work | Prepared) -> None:
        match work:
            case Generate():
                self._preparer.submit(work)
            case Prepared():
                self._enqueue(work)
            case Cancel():
                self._cancel(work.id)
            case Shrink():
                self._memory.shrink(work.level)
                self._tell(Shrunk(work.id))
            case SaveSlots():
                self._tell(SlotsSaved(work.id, self._save(Path(work.path))))
            case MemoryOffered():
                self._shortages.end(work.id)

    def _save(self, path: Path) -> int:
        try:
            return save(path, self._store, self.slots)
        except OSError as error:
            log.warning("the cells could not be saved for the next runner: %s", error)
            return 0

    def _enqueue(self, prepared: Prepared) -> None:
        match self._preparer.finish(prepared):
            case EngineRequest() as generation:
                self.totals.cut += prepared.request.cut_tokens
                self._waiting.append(generation)
            case SwellError() as error:
                self._deliver(StepOutput(failed=[Failed(prepared.request.id, *to_data(error))]))

    def _cancel(self, generation_id: int) -> None:
        self._preparer.cancel(generation_id)
        self._waiting = deque(waiting for waiting in self._waiting if waiting.id != generation_id)
        for slot in self.slots:
            if slot.generation is not None and slot.generation.id == generation_id:
                self._release(slot)

    def _is_alone(self, generation_id: int) -> bool:
        busy = [slot.generation for slot in self.slots]
        return [generation.id for generation in busy if generation is not None] == [generation_id]

    # --- one step ----------------------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Give idle slots to generations that wait, in their order."""
        while self._waiting:
            place = choose_place(self.slots, self._waiting[0].known, can_copy=self._can_copy)
            if place is None:
                return
            generation = self._waiting.popleft()
            try:
                self._occupy(place, generation)
            except KvGrowError as error:
                self._shortages.lack(place.slot, len(generation.known), error)

    def _occupy(self, place: Place, generation: EngineRequest) -> None:
        slot = place.slot
        slot.generation = generation
        generation.started_ns = time.perf_counter_ns()
        if place.source is not None:
            self._copy_beginning(place.source, slot, generation.known)
        # the last token is computed again even when it is cached, for its logits
        keep = min(slot.common_prefix(generation.known), len(generation.known) - 1)
        if keep < slot.stored:
            self._store.rewind(slot.index, keep)
        generation.cached_tokens = slot.stored
        slot.tokens = generation.known
        self._memory.grant(slot, len(slot.tokens))

    def _copy_beginning(self, source: Slot, target: Slot, prompt: list[int]) -> None:
        """Take over what `source` has of `prompt`; if memory doesn't allow that, it is computed."""
        shared = source.common_prefix(prompt)
        try:
            self._memory.grant(target, source.stored)
            copied = self._store.copy(source.index, target.index, shared)
        except KvGrowError as error:
            log.info("%s; computing what could have been copied", error)
            copied = self._store.rewind(target.index, 0)
        target.tokens = prompt[:copied]

    def _plan(self) -> list[SlotBatch]:
        """Fill the batch: a token of each generation, and of prompts as much as there is room for."""
        self._batch.clear()
        for slot in self._busy():
            self._shortages.grant(slot, min(len(slot.tokens), slot.stored + self._batch.capacity))
        # after granting, which may move cells
        counts, self._first = plan([slot.wanted for slot in self.slots], self._batch.capacity, self._first)
        shares = []
        for slot, count in zip(self.slots, counts, strict=True):
            if count:
                self._store.prepare(slot.index, count)
                shares.append(self._share(slot, count))
        return shares

    def _share(self, slot: Slot, count: int) -> SlotBatch:
        is_last = count == slot.pending
        logits_index = None
        for position in range(slot.stored, slot.stored + count):
            wants_logits = is_last and position == slot.stored + count - 1
            index = self._batch.add(slot.tokens[position], position, slot.index, wants_logits=wants_logits)
            if wants_logits:
                logits_index = index
        return SlotBatch(slot, count, logits_index)

    def _decode(self, shares: list[SlotBatch]) -> bool:
        """Compute the batch; False when it was not, and the slots in it are as before or have failed."""
        wishes = [share.slot.generation.threads for share in shares if share.slot.generation]
        self._store.context.use_threads(self._governor.threads_for_step(wishes))
        try:
            self._store.context.decode(self._batch)
        except AbortedError:
            for share in shares:  # a part may be stored already; it is computed again
                self._store.rewind(share.slot.index, share.slot.stored)
        except DecodeError as error:
            for share in shares:
                self._store.rewind(share.slot.index, 0)
                self._fail(share.slot, error)
        else:
            self.totals.batches += 1
            return True
        return False

    def _advance(self, share: SlotBatch) -> None:
        """Note what was computed and sample the next token where the slot caught up with what is known."""
        slot, generation = share.slot, share.slot.generation
        self._store.advance(slot.index, share.count)
        if generation is None or share.logits_index is None:
            return
        try:
            token = generation.sampler.sample(self._store.context, share.logits_index)
        except InvalidRequestError as error:
            self._fail(slot, error)
            return
        if not generation.prefilled_ns:
            generation.prefilled_ns = time.perf_counter_ns()
            prompt_ns = generation.prefilled_ns - generation.started_ns
            self.totals.prompt += len(slot.tokens)
            self.totals.cached += generation.cached_tokens
            self._step.prefilled.append(Prefilled(generation.id, len(slot.tokens), generation.cached_tokens, prompt_ns))
        if self._vocabulary.is_end(token):
            self._finish(slot, generation, FinishReason.STOP)
            return
        if generation.limit_tokens == 0:
            self._finish(slot, generation, FinishReason.LENGTH)
            return
        slot.tokens.append(token)
        self._emit(generation, token, share.logits_index)
        is_full = len(slot.tokens) >= generation.window_tokens
        if generation.generated_tokens >= generation.limit_tokens or (is_full and not self._shift(slot, generation)):
            self._finish(slot, generation, FinishReason.LENGTH)

    def _emit(self, generation: EngineRequest, token: int, logits_index: int) -> None:
        generation.generated_tokens += 1
        self.totals.generated += 1
        piece = generation.visible.get(token) or self._vocabulary.piece(token)
        self._step.emitted.append(Emitted(generation.id, token, piece))
        if generation.top_logprobs is not None:
            logprob, top = logprobs(self._store.context, logits_index, token, generation.top_logprobs)
            alternatives = [TokenAlternative(one.logprob, self._vocabulary.piece(one.token)) for one in top]
            self._step.likelihoods.append(TokenLikelihood(generation.id, logprob, alternatives))

    def _shift(self, slot: Slot, generation: EngineRequest) -> bool:
        """Make room at the end of the window by forgetting what is oldest; False if that isn't wanted.

        What comes after the gap is computed again. llama.cpp could change the positions of cells instead, but it does
        so in all cells of all slots, which backs all reserved memory (measured: 380 MB instead of 14); and such cells
        would still know what was forgotten.
        """
        if generation.keep_tokens is None:
            return False
        gap = forgotten(len(slot.tokens), generation.keep_tokens, generation.window_tokens)
        self._store.rewind(slot.index, gap.start)
        del slot.tokens[gap.start : gap.stop]
        generation.read_tokens = len(slot.tokens)
        self.totals.cut += len(gap)
        log.info("generation %d: forgot %d tokens after the first %d", generation.id, len(gap), gap.start)
        return True

    def _busy(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.generation is not None]

    def _running(self) -> list[Slot]:
        """The busy ones that don't wait for memory."""
        return [slot for slot in self.slots if slot.generation is not None and slot.generation.shortage is None]

    # --- slots -------------------------------------------------------------------------------------------------

    def _finish(self, slot: Slot, generation: EngineRequest, reason: FinishReason) -> None:
        generate_ns = time.perf_counter_ns() - generation.prefilled_ns
        self._step.finished.append(Finished(generation.id, reason, generate_ns))
        self._release(slot)

    def _fail(self, slot: Slot, error: SwellError) -> None:
        if slot.generation is not None:
            self._step.failed.append(Failed(slot.generation.id, *to_data(error)))
            self._release(slot)

    def _release(self, slot: Slot) -> None:
        """Make `slot` idle; what is stored stays as a prefix for later requests."""
        if slot.generation is not None:
            slot.generation.sampler.close()
            slot.generation = None
        del slot.tokens[slot.stored :]
        self._store.settle(slot.index)
        self._shortages.retry()
        slot.last_used_ns = time.perf_counter_ns()
