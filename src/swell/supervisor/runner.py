"""A runner process as the server sees it: started, spoken to, noticed when it is gone."""

import asyncio
import contextlib
import copy
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from swell.devices import Placement
from swell.durations import FOREVER_S
from swell.errors import (
    LoadTimeoutError,
    ProtocolError,
    RunnerError,
    RunnerLostError,
    SwellError,
    UnreadError,
    WorkerLostError,
    from_data,
)
from swell.loss import Loss
from swell.protocol.framing import encode, replies
from swell.protocol.messages import (
    CacheCount,
    Cancel,
    DevicesFound,
    Embed,
    Embedded,
    Failed,
    FindDevices,
    Generate,
    GetPrefixes,
    GetStats,
    GrantChanged,
    KeepPrefixes,
    Load,
    Loaded,
    LoadFailed,
    LoadProgress,
    MemoryOffered,
    NeedMemory,
    Ping,
    Pong,
    Prefixes,
    Reply,
    Request,
    SaveSlots,
    Shrink,
    ShrinkLevel,
    Shrunk,
    SlotsSaved,
    Stats,
    StepOutput,
    Tokenize,
    Tokenized,
)
from swell.protocol.texts import unpack_vector
from swell.supervisor.connection import RunnerConnection
from swell.supervisor.process import RunnerProcess, load_died
from swell.supervisor.stream import GenerationStream
from swell.supervisor.watchdog import until_stuck

log = logging.getLogger(__name__)

EMBED_INPUTS = 256
"""Texts per message: so no frame grows too large, and requests at the same time take turns."""
_ids = itertools.count(1)

Answer = Tokenized | Stats | Embedded | Pong | Shrunk | SlotsSaved | Prefixes
R = TypeVar("R", Tokenized, Stats, Embedded, Pong, Shrunk, SlotsSaved, Prefixes)
OnNotice = Callable[["Runner", NeedMemory | GrantChanged], None]
"""Told when a grant has changed, and when a generation lacks memory; that waits until it is `offer`ed some, or until
its own time is over."""


PlaceLayers = Callable[[DevicesFound], Placement]
"""Decides where layers go, once a runner has said which devices there are; may refuse with an error."""


class Runner:
    """One runner with a model in it. Made by `start` or `attach`; usable until `lost` is set."""

    def __init__(self, process: RunnerConnection, on_notice: OnNotice) -> None:
        self._process = process
        self._on_notice = on_notice
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._streams: dict[int, GenerationStream] = {}
        self._found: asyncio.Future[DevicesFound] = asyncio.get_running_loop().create_future()
        self._loaded: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()
        self.lost = asyncio.Event()
        """Set when the process is gone, for whatever reason."""
        self.has_answered = False
        """Whether it has written an answer to its end, or a vector."""
        self._task = asyncio.create_task(self._receive(), name=f"runner {process.id}")

    @classmethod
    async def start(
        cls, load: Load, timeout_s: float, on_notice: OnNotice, place: PlaceLayers, *, stuck_s: float = FOREVER_S
    ) -> "Runner":
        """Start a process, have `place` decide what goes to the devices it finds, and load a model in it.

        Raises the error that the runner reports or `place`, LoadDiedError when it dies, WorkerLostError when a worker
        does, LoadTimeoutError when it makes no progress for `timeout_s`. Cancelling this ends the process.

        It is ended when it gives no sign of life for `stuck_s`, now or later, or computes one batch for ten times as
        long.
        """
        start_ns = time.perf_counter_ns()
        process = await RunnerProcess.start(load)
        runner = cls(process, on_notice)
        if stuck_s != FOREVER_S:
            runner._watching = asyncio.create_task(runner._watch(stuck_s), name=f"watch runner {process.id}")
        try:
            async with asyncio.timeout(None) as runner._patience:
                runner._patience_s = timeout_s
                runner._renew_patience()
                runner._send(FindDevices(load.workers))
                placement = place(await runner._found)
                runner._send(msgspec.structs.replace(load, placement=placement))
                runner.facts = await runner._loaded
                runner.loading_ns = start_ns, time.perf_counter_ns()
        except TimeoutError:
            await runner.stop()
            raise LoadTimeoutError(f"no progress for {timeout_s:g} s (OLLAMA_LOAD_TIMEOUT)") from None
        except WorkerLostError:
            raise
        except RunnerLostError as error:
            raise load_died(error) from error
        except BaseException:
            await runner.stop()
            raise
        return runner

    @classmethod
    async def attach(cls, connection: RunnerConnection) -> "Runner":
        """A runner that others have started and watch, once it says that its model is loaded. Raises what it says
        instead, or RunnerLostError. Cancelling this ends the connection.
        """
        start_ns = time.perf_counter_ns()
        runner = cls(connection, lambda *_: None)
        try:
            runner.facts = await runner._loaded
        except BaseException:
            await runner.stop()
            raise
        runner.loading_ns = start_ns, time.perf_counter_ns()
        return runner

    _watching: asyncio.Task[None] | None = None
    _patience: asyncio.Timeout
    _patience_s: float
    facts: Loaded
    """What the runner said of its model."""
    loading_ns: tuple[int, int]
    """When the load began and when it ended, by `time.perf_counter_ns`."""
    loss: RunnerLostError
    """What became of it; there when `lost` is set."""

    @property
    def process_id(self) -> int:
        return self._process.id

    async def tokenize(
        self, text: str, *, add_special: bool, parse_special: bool, limit_tokens: int | None = None
    ) -> list[int]:
        """Token ids of `text`; of one that has many more than `limit_tokens`, only those at both ends.

        Raises TokenizeError or RunnerLostError.
        """
        request = Tokenize(
            id=next(_ids),
            text=text,
            add_special=add_special,
            parse_special=parse_special,
            limit_tokens=limit_tokens,
        )
        try:
            return (await self._ask(request, Tokenized)).tokens
        except asyncio.CancelledError:
            if not self.lost.is_set():
                self._send(Cancel(request.id))
            raise

    async def stats(self, count: CacheCount = CacheCount.PAGES) -> Stats:
        """Memory and slots now; raises RunnerLostError."""
        return await self._ask(GetStats(next(_ids), count), Stats)

    async def prefixes(self) -> Prefixes:
        """What its slots hold; raises RunnerLostError."""
        return await self._ask(GetPrefixes(next(_ids)), Prefixes)

    async def shrink(self, level: ShrinkLevel) -> None:
        """Have memory given back; returns when it is. Raises RunnerLostError."""
        await self._ask(Shrink(next(_ids), level), Shrunk)

    async def save_slots(self, path: Path) -> int:
        """Have all cells written to the file at `path`; returns of how many tokens. Raises RunnerLostError."""
        return (await self._ask(SaveSlots(next(_ids), str(path)), SlotsSaved)).tokens

    async def keep_prefixes(self) -> int:
        """Have all conversations saved to the prefix cache; returns of how many tokens. Raises RunnerLostError."""
        return (await self._ask(KeepPrefixes(next(_ids)), SlotsSaved)).tokens

    def offer(self, generation_id: int) -> None:
        """Let a generation that lacked memory try again."""
        if not self.lost.is_set():
            self._send(MemoryOffered(generation_id))

    async def embed(
        self, inputs: list[list[int]], *, cut_tokens: int = 0, threads: int | None = None
    ) -> list[list[float]]:
        """The vectors of `inputs`, each the tokens of a text, in their order and as the model gives them.
        `cut_tokens` of the texts were left out; they are only counted. `threads` compute them, if that is said.

        Cancelling this cancels the work. Raises what the runner reports, or RunnerLostError.
        """
        vectors: list[list[float]] = []
        for start in range(0, len(inputs), EMBED_INPUTS):
            some = inputs[start : start + EMBED_INPUTS]
            request = Embed(next(_ids), some, 0 if start else cut_tokens, threads)
            try:
                answer = await self._ask(request, Embedded)
            except asyncio.CancelledError:
                if not self.lost.is_set():
                    self._send(Cancel(request.id))
                raise
            vectors += map(unpack_vector, answer.vectors)
        return vectors

    @contextlib.contextmanager
    def generating(self, order: Generate, stream: GenerationStream | None = None) -> Iterator[GenerationStream]:
        """Have `order` carried out, whatever its id; inside, what comes of it, in `stream` if there is one already.
        Leaving before the end cancels the work. The stream ends with what the runner reports, or RunnerLostError, if it
        doesn't end well.
        """
        order = msgspec.structs.replace(order, id=next(_ids))
        stream = self._streams[order.id] = stream or GenerationStream()
        try:
            self._send(order)
            yield stream
        finally:
            if stream.is_finished:
                self._streams.pop(order.id, None)
            else:
                self._drop(order.id)

    def interrupt(self, error: SwellError) -> None:
        """Fail all requests and streams with `error`."""
        self._fail_all(error)

    async def stop(self) -> None:
        """End the process and wait for it."""
        self._process.writer.close()
        self._process.kill()
        await self._task

    # --- receiving ---------------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        """Hand out replies until the connection ends, then fail all that is waited for."""
        error: RunnerError | None = None
        try:
            async for together in replies(self._process.reader):
                for reply in together:
                    self._dispatch(reply)
        except ProtocolError as protocol_error:
            error = protocol_error
        except Exception as bug:
            log.exception("a reply of runner %d can't be understood", self.process_id)
            error = ProtocolError(repr(bug))
        if error is not None:
            self._process.kill()
        exit_code = await self._process.exit_code()
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None  # it holds its cancellation, which holds this runner
        self.loss = self._process.lost_error(exit_code)
        self.lost.set()
        self._process.writer.close()
        self._fail_all(error or self.loss)

    def _dispatch(self, reply: Reply) -> None:
        match reply:
            case StepOutput():
                self.has_answered = self.has_answered or bool(reply.finished)
                self._hand_out(reply)
            case Tokenized() | Stats() | Embedded() | Pong() | Shrunk() | SlotsSaved() | Prefixes():
                self.has_answered = self.has_answered or isinstance(reply, Embedded)
                if (answer := self._answers.get(reply.id)) and not answer.done():
                    answer.set_result(reply)
            case Failed():
                self._fail(reply)
            case NeedMemory():
                self._on_notice(self, reply)
            case GrantChanged():
                if (stream := self._streams.get(reply.generation)) and reply.to_tokens > reply.from_tokens:
                    stream.growths += 1
                self._on_notice(self, reply)
            case DevicesFound():
                self._found.set_result(reply)
            case Loaded():
                self._loaded.set_result(reply)
            case LoadProgress():
                self._renew_patience()
            case LoadFailed():
                self._fail_load(from_data(reply.kind, reply.fields))

    def _renew_patience(self) -> None:
        """Loading goes on: count its time limit from now."""
        if self._patience_s != float("inf") and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time() + self._patience_s)

    def _hand_out(self, step: StepOutput) -> None:
        for events in (step.prefilled, step.emitted, step.likelihoods, step.finished):
            for event in events:
                if stream := self._streams.get(event.id):  # none: cancelled meanwhile
                    stream.put(event)
        for failed in step.failed:
            self._fail(failed)
        for emitted in step.emitted:
            if (stream := self._streams.get(emitted.id)) and stream.is_full:
                stream.fail(UnreadError())
                self._drop(emitted.id)

    def _drop(self, generation_id: int) -> None:
        """Cancel a generation; what still comes of it is ignored."""
        if self._streams.pop(generation_id, None) is not None and not self.lost.is_set():
            self._send(Cancel(generation_id))

    def _fail(self, failed: Failed) -> None:
        error = from_data(failed.kind, failed.fields)
        if stream := self._streams.get(failed.id):
            stream.fail(error)
        elif (answer := self._answers.get(failed.id)) and not answer.done():
            answer.set_exception(error)

    def _fail_all(self, error: SwellError) -> None:
        """Each is given an error of its own: one that several raise would keep the frames of all of them."""
        for stream in self._streams.values():
            stream.fail(copy.copy(error))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(copy.copy(error))
        self._fail_load(copy.copy(error))

    def _fail_load(self, error: SwellError) -> None:
        for step in (self._found, self._loaded):
            if not step.done():
                step.set_exception(error)
                step.exception()  # counts as seen, also when nobody waits for it any more

    async def _watch(self, stuck_s: float) -> None:
        """End the process if it gives no sign of life."""
        try:
            silent_s = await until_stuck(self._ping, self._is_awaited, stuck_s)
        except SwellError:  # it is lost, or the server stops
            return
        log.error("runner %d gave no sign of life for %.1f s; ending it", self.process_id, silent_s)
        self._process.kill(Loss.STUCK)

    async def _ping(self) -> Pong:
        kills = self._process.kills()
        pong = await self._ask(Ping(next(_ids)), Pong)
        self._process.was_alive(kills)
        return pong

    def _is_awaited(self) -> bool:
        return bool(self._streams or self._answers or not self._loaded.done())

    # --- sending -----------------------------------------------------------------------------------------------

    def _send(self, request: Request) -> None:
        if self.lost.is_set():
            raise copy.copy(self.loss)
        if not self._process.writer.is_closing():  # else it is lost, and whoever waits is told so once it is known how
            self._process.writer.write(encode(request))

    async def _ask(
        self,
        request: Tokenize | GetStats | GetPrefixes | Ping | Embed | Shrink | SaveSlots | KeepPrefixes,
        kind: type[R],
    ) -> R:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[request.id] = future
        try:
            self._send(request)
            answer = await future
        finally:
            del self._answers[request.id]
            del future  # it holds its error, which holds this frame
        if not isinstance(answer, kind):
            raise ProtocolError(f"{type(answer).__name__} answers {type(request).__name__}")
        return answer
