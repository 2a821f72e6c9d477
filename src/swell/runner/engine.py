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
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from swell.errors import InvalidRequestError, KvGrowError, StateError, SwellError, to_data
from swell.kv.base import KvStore
from swell.kv.cells import ANYWHERE
from swell.metrics.events import ShrinkCause
from swell.processors.governor import Governor
from swell.protocol.messages import (
    Cancel,
    Emitted,
    Failed,
    Finished,
    FinishReason,
    Generate,
    GrantChanged,
    KeepPrefixes,
    MemoryOffered,
    NeedMemory,
    Prefilled,
    SaveSlots,
    Shrink,
    Shrunk,
    SlotsSaved,
    SlotState,
    StepOutput,
)
from swell.runner.checkpointing import is_due, stops
from swell.runner.counters import Counters
from swell.runner.decoding import Decoder
from swell.runner.grants import Grants
from swell.runner.handover import save
from swell.runner.memory import SlotMemory
from swell.runner.planning import SlotBatch, plan
from swell.runner.preparing import Prepared, Preparer
from swell.runner.sampling import SampledToken, sample
from swell.runner.shortages import Shortages
from swell.runner.slot_choice import COPY_TOKENS_MIN, SlotChoice, choose_slot, least_used
from swell.runner.slots import EngineRequest, Reuse, Slot
from swell.runner.window import forgotten

if TYPE_CHECKING:
    from swell.runner.prefix_cache import PrefixCache

log = logging.getLogger(__name__)

Work = Generate | Cancel | Shrink | MemoryOffered | SaveSlots | KeepPrefixes

_NOTHING = StepOutput()


@dataclasses.dataclass(frozen=True, kw_only=True)
class EngineLimits:
    """Tokens per batch, the most checkpoints of a slot, seconds without work after which spare memory is given back,
    and seconds that a request waits at most for memory of other models; with 0 it is not asked for.
    """

    batch_tokens: int
    checkpoints: int = 0
    idle_shrink_s: float = math.inf
    memory_wait_s: float = 0


class Engine:
    """Continuous batching: every step computes a token of each running request and fills up with prompts."""

    def __init__(
        self,
        store: KvStore,
        governor: Governor,
        limits: EngineLimits,
        *,
        deliver: Callable[[StepOutput], None],
        reply: Callable[[NeedMemory | Shrunk | SlotsSaved | GrantChanged], None],
        prefixes: "PrefixCache | None" = None,
    ) -> None:
        """`deliver` is given what steps gave, `reply` every other message; both are called from the engine's thread.

        Conversations that slots lose go to `prefixes`, if there are any, and come back from there.
        """
        self.slots = [Slot(index, cells) for index, cells in enumerate(store.cells)]
        self.counters = Counters()
        self._store = store
        self._vocabulary = store.context.model.vocabulary
        self._governor = governor
        self._decoder = Decoder(store, governor, self.counters, limits.batch_tokens)
        self._first = 0
        """The index of the slot that comes first in the next batch, if not all fit."""
        self._prefixes = prefixes
        self._memory = SlotMemory(self.slots, store, self.counters, self._on_loss)
        self._grants = Grants(self.slots, store, self.counters, reply)
        self._deliver = deliver
        self._reply = reply
        self._shortages = Shortages(self.slots, self._memory, self.counters, ask=reply, wait_s=limits.memory_wait_s)
        self._checkpoints = 0 if all(state.cut == ANYWHERE for state in store.cells) else limits.checkpoints
        self._idle_shrink_s = None if limits.idle_shrink_s == math.inf else limits.idle_shrink_s
        self._inbox: SimpleQueue[Work | Prepared] = SimpleQueue()
        self._preparer = Preparer(self._vocabulary, limits.batch_tokens, self._inbox.put)
        self._waiting: deque[EngineRequest] = deque()

    def submit(self, work: Work) -> None:
        """Hand in work; callable from any thread."""
        self._inbox.put(work)
        if isinstance(work, Cancel) and self._is_alone(work.id):
            # nobody else's tokens are in the batch that may be running: stop it too, a prompt batch takes seconds
            self._store.context.request_abort()

    @property
    def is_computing(self) -> bool:
        """Whether there is a request that doesn't wait for memory."""
        return any(slot.state in (SlotState.PREFILL, SlotState.GENERATE) for slot in self.slots)

    @property
    def reclaimable_bytes(self) -> int:
        """Bytes that would be given back for another model."""
        return self._memory.reclaimable_bytes()

    def run(self) -> None:
        """Work until the process ends."""
        while True:
            self._take_work()
            self.step()

    def step(self) -> None:
        """Compute one batch and deliver what it gave in one message, or none if it gave nothing."""
        failed = [*self._admit(), *self._grant()]
        self._grants.tell(ShrinkCause.OTHER_SLOTS)
        planned = plan(self.slots, self._decoder.capacity, self._first)  # after granting, which may move cells
        self._first = planned.first
        parts, error = self._decoder.decode(planned)
        if error is not None:
            failed += [self._fail(part.slot, part.request, error) for part in planned.parts]
        output = self._advance(sample(parts, self._store.context, self._vocabulary), failed)
        if output != _NOTHING:
            self._deliver(output)
        if self._checkpoints:
            self._save_checkpoints(planned.parts if error is None else [])

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
            self._grants.tell(ShrinkCause.IDLE)
            return self._inbox.get()

    def _wait_for_memory(self) -> None:
        """Wait for work, or until the first of the requests, which all lack memory, may wait no longer."""
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
                self._grants.tell(ShrinkCause.OTHER_MODELS)
                self._reply(Shrunk(work.id))
            case SaveSlots():
                self._reply(SlotsSaved(work.id, self._save(Path(work.path))))
            case KeepPrefixes():
                self._reply(SlotsSaved(work.id, sum(slot.stored for slot in self.slots if self._on_loss(slot))))
            case MemoryOffered():
                self._shortages.end_wait(work.id)

    def _save(self, path: Path) -> int:
        try:
            return save(path, self._store, self.slots)
        except (OSError, StateError) as error:
            log.warning("the cells could not be saved for the next runner: %s", error)
            return 0

    def _enqueue(self, prepared: Prepared) -> None:
        match self._preparer.finish(prepared):
            case EngineRequest() as request:
                self.counters.tokens_cut(prepared.request.cut_tokens)
                self._waiting.append(request)
            case SwellError() as error:
                self._deliver(StepOutput(failed=[Failed(prepared.request.id, *to_data(error))]))

    def _cancel(self, request_id: int) -> None:
        self._preparer.cancel(request_id)
        self._waiting = deque(waiting for waiting in self._waiting if waiting.id != request_id)
        for slot in self.slots:
            if slot.request is not None and slot.request.id == request_id:
                self._release(slot, slot.request)

    def _is_alone(self, request_id: int) -> bool:
        busy = [slot.request for slot in self.slots]
        return [request.id for request in busy if request is not None] == [request_id]

    # --- one step ----------------------------------------------------------------------------------------------

    def _admit(self) -> list[Failed]:
        """Give idle slots to requests that wait, in their order. Returns those that failed for want of memory."""
        failed = []
        while self._waiting:
            choice = choose_slot(self.slots, self._waiting[0].known, self._store.copyable)
            if choice is None:
                break
            request = self._waiting.popleft()
            request.started_ns = time.perf_counter_ns()
            choice = self._load_prefix(choice, request.known)
            try:
                self._occupy(choice, request)
            except KvGrowError as refusal:
                error = self._shortages.refused(choice.slot, request, len(request.known), refusal)
                if error is not None:
                    failed.append(self._fail(choice.slot, request, error))
        return failed

    def _occupy(self, choice: SlotChoice, request: EngineRequest) -> None:
        """Put `request` in its slot, and grant it what its prompt takes. Raises KvGrowError once it is there."""
        slot = choice.slot
        slot.request = request
        if choice.source is not None:
            self._copy_beginning(choice.source, slot, request.known)
        # the last token is computed again even when it is cached, for its logits
        keep = min(slot.common_prefix(request.known), len(request.known) - 1)
        if keep < slot.stored:
            self._on_loss(slot, keep)
            self._store.rewind(slot.index, keep)
        slot.reuse = Reuse(len(request.known), choice.shared, slot.stored)
        slot.tokens = request.known
        if self._checkpoints:
            request.stops = stops(request.known[: request.read_tokens], self._vocabulary.is_control, choice.shared)
        log.info("generation %d: %s", request.id, slot.reuse)
        self._memory.grant(slot, len(slot.tokens))

    def _load_prefix(self, choice: SlotChoice, prompt: list[int]) -> SlotChoice:
        """Fill an idle slot from a file where that saves more than `choice` does. Returns the choice that is best then.

        If memory doesn't allow that, it will be computed.
        """
        found = self._prefixes.find(prompt) if self._prefixes else None
        if self._prefixes is None or found is None or found.tokens - choice.reused < COPY_TOKENS_MIN:
            return choice
        slot = least_used([slot for slot in self.slots if slot.request is None])
        self._on_loss(slot)
        slot.tokens = []
        self._store.rewind(slot.index, 0)
        try:
            self._memory.grant(slot, len(found.saved.tokens))
            is_loaded = self._prefixes.load(found.saved, slot)
        except KvGrowError as error:
            log.info("%s; computing what could have been loaded", error)
            return choice
        return SlotChoice(slot, None, found.tokens, slot.common_prefix(prompt)) if is_loaded else choice

    def _on_loss(self, slot: Slot, keep: int = 0) -> bool:
        """Save what `slot` is about to forget after its first `keep` tokens; whether there is a file of it then."""
        return self._prefixes is not None and self._prefixes.keep(slot, keep)

    def _copy_beginning(self, source: Slot, target: Slot, prompt: list[int]) -> None:
        """Copy into `target` what `source` has of `prompt`; if memory doesn't allow that, it will be computed."""
        shared = prompt[: source.common_prefix(prompt)]
        self._on_loss(target)
        try:
            self._memory.grant(target, len(shared))
            copied = self._store.copy(source.index, target.index, shared)
        except KvGrowError as error:
            log.info("%s; computing what could have been copied", error)
            copied = self._store.rewind(target.index, 0)
        target.tokens = shared[:copied]

    def _grant(self) -> list[Failed]:
        """Grant busy slots what the next batch may need. Returns the requests that failed for want of memory."""
        failed = []
        for slot in self.slots:
            if (request := slot.request) is not None:
                error = self._shortages.grant(slot, min(len(slot.tokens), slot.stored + self._decoder.capacity))
                if error is not None:
                    failed.append(self._fail(slot, request, error))
        return failed

    def _advance(self, sampled: Sequence[SampledToken], failed: list[Failed]) -> StepOutput:
        """Append the tokens to their slots and end the requests that are complete. Returns the message of this step,
        in which the requests that `failed` before come first.
        """
        prefilled, emitted, likelihoods, finished = [], [], [], []
        for slot, request, token, likelihood in sampled:
            if isinstance(token, InvalidRequestError):
                failed.append(self._fail(slot, request, token))
                continue
            if not request.prefilled_ns:
                prefilled.append(self._prefilled(slot, request))
            if self._vocabulary.is_end(token):
                finished.append(self._finish(slot, request, FinishReason.STOP))
                continue
            if request.limit_tokens != 0:
                slot.tokens.append(token)
                request.generated_tokens += 1
                emitted.append(Emitted(request.id, token, request.visible.get(token) or self._vocabulary.piece(token)))
                if likelihood is not None:
                    likelihoods.append(likelihood)
            if not self._goes_on(slot, request):
                finished.append(self._finish(slot, request, FinishReason.LENGTH))
        self.counters.tokens_generated(len(emitted))
        return StepOutput(prefilled, emitted, likelihoods, finished, failed)

    def _prefilled(self, slot: Slot, request: EngineRequest) -> Prefilled:
        """Note that the prompt has been read."""
        request.prefilled_ns = time.perf_counter_ns()
        self.counters.prompt_read(len(slot.tokens), slot.reuse.cached_tokens)
        return Prefilled(
            request.id, len(slot.tokens), slot.reuse.cached_tokens, request.prefilled_ns - request.started_ns
        )

    def _goes_on(self, slot: Slot, request: EngineRequest) -> bool:
        """Whether the limit and the window have room for another token; a full window is shifted for it."""
        if request.generated_tokens >= request.limit_tokens:
            return False
        return len(slot.tokens) < request.window_tokens or self._shift(slot, request)

    def _shift(self, slot: Slot, request: EngineRequest) -> bool:
        """Make room at the end of the window by forgetting what is oldest; False if the request doesn't want that.

        What comes after the gap is computed again. llama.cpp could change the positions of cells instead, but it does
        so in all cells of all slots, which backs all reserved memory (measured: 380 MB instead of 14); and such cells
        would still know what was forgotten.
        """
        if request.keep_tokens is None:
            return False
        gap = forgotten(len(slot.tokens), request.keep_tokens, request.window_tokens)
        self._store.rewind(slot.index, gap.start)
        del slot.tokens[gap.start : gap.stop]
        request.read_tokens = len(slot.tokens)
        self.counters.tokens_cut(len(gap))
        log.info("generation %d: forgot %d tokens after the first %d", request.id, len(gap), gap.start)
        return True

    def _save_checkpoints(self, parts: Sequence[SlotBatch]) -> None:
        """Save those that are due where this batch has brought its slots; the clients have their tokens already."""
        for part in parts:
            slot, request = part.slot, part.request
            if slot.stored and is_due(slot.stored, request.read_tokens, request.stops, slot.cells.checkpoints.tokens):
                self._store.save_checkpoint(slot.index, self._checkpoints)

    # --- slots -------------------------------------------------------------------------------------------------

    def _busy(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.request is not None]

    def _running(self) -> list[Slot]:
        """The busy ones that don't wait for memory."""
        return [slot for slot in self.slots if slot.request is not None and slot.request.shortage is None]

    def _finish(self, slot: Slot, request: EngineRequest, reason: FinishReason) -> Finished:
        generate_ns = time.perf_counter_ns() - request.prefilled_ns
        self._release(slot, request)
        return Finished(request.id, reason, generate_ns)

    def _fail(self, slot: Slot, request: EngineRequest, error: SwellError) -> Failed:
        self._release(slot, request)
        return Failed(request.id, *to_data(error))

    def _release(self, slot: Slot, request: EngineRequest) -> None:
        """Take `request` out of `slot`; what is stored stays as a prefix for later requests."""
        request.sampler.close()
        slot.request = None
        del slot.tokens[slot.stored :]
        self._store.settle(slot.index)
        self._grants.tell(ShrinkCause.SETTLED)
        self._shortages.resume_eldest()
        slot.last_used_ns = time.perf_counter_ns()
