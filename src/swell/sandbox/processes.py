"""Processes for jobs that may take any time and memory, so that these can't halt the server or take its memory."""

import asyncio
import contextlib
import hashlib
import logging
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import AsyncIterator

import msgspec

from swell.errors import InvalidRequestError, InvalidTemplateError
from swell.sandbox.job import LENGTH, Answer, Job, Refused, Unreadable, frame

log = logging.getLogger(__name__)

_REMEMBERED = 64
_ATTEMPTS = 2  # the system may have ended a process for reasons of its own

_TOO_MUCH = (-signal.SIGPROF, -signal.SIGABRT)
"""How a process ends that computes for too long, and one in which a library asks for too much memory."""

_decoder = msgspec.msgpack.Decoder(Answer)


class _LostError(Exception):
    """A process ended before it had answered."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class Processes:
    """Processes that are started when they are needed, each for one job at a time.

    A job's program that took too long is remembered and refused from then on: each time it would take a process away
    from others.
    """

    def __init__(self, most: int, *, limit_s: float, limit_bytes: int) -> None:
        """Up to `most` of them, which may have `limit_bytes` of memory each and compute for `limit_s` per job."""
        self._limit_s = limit_s
        self._limit_bytes = limit_bytes
        self._idle: list[Process] = []
        self._free = asyncio.Semaphore(most)
        self._refused = OrderedDict[bytes, None]()

    async def run(self, job: Job) -> str:
        """The result of `job`. Raises InvalidRequestError if it has none, or takes too much time or memory.

        Raises InvalidTemplateError for a template in Go's language that can't be read.
        """
        key = hashlib.sha256(job.program.encode("utf-8", "surrogatepass")).digest()
        for _ in range(_ATTEMPTS):
            if key in self._refused:
                break
            try:
                async with self._process() as process:
                    answer = await _ask(process, job)
            except _LostError as lost:
                log.warning("a process of the sandbox was lost: exit code %d", lost.exit_code)
                if lost.exit_code in _TOO_MUCH:
                    self._refuse(key)
                continue
            match answer:
                case Refused():
                    raise InvalidRequestError(answer.reason)
                case Unreadable():
                    raise InvalidTemplateError(answer.reason, answer.line)
            return answer.text
        raise InvalidRequestError(
            f"{job.NAME} takes too long or too much memory; "
            f"{self._limit_s:g} s and {self._limit_bytes >> 20} MiB are allowed"
        )

    async def warm(self) -> None:
        """Start one process, so that the first request needn't wait for it."""
        self._idle.append(await self._start())

    async def close(self) -> None:
        """End all processes."""
        for process in self._idle:
            await _end(process)
        self._idle.clear()

    async def _start(self) -> Process:
        command = (sys.executable, "-m", "swell.sandbox", str(self._limit_s), str(self._limit_bytes))
        return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)

    def _refuse(self, key: bytes) -> None:
        self._refused[key] = None
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[Process]:
        """A process for the caller alone. It is ended if the block is left by an error or a cancellation."""
        async with self._free:
            process = self._idle.pop() if self._idle else await self._start()
            if process.returncode is not None:  # it was ended from outside
                process = await self._start()
            try:
                yield process
            except BaseException:
                await asyncio.shield(_end(process))
                raise
            self._idle.append(process)


async def _ask(process: Process, job: Job) -> Answer:
    """The answer of `process` to `job`. Raises _LostError if it ends before that."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(frame(job))
        await process.stdin.drain()
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        answer: Answer = _decoder.decode(await process.stdout.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise _LostError(await process.wait()) from error
    return answer


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
