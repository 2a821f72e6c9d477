"""Renders chat templates in processes, so that none of them can halt the server or take its memory."""

import asyncio
import contextlib
import hashlib
import logging
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from swell.errors import InvalidRequestError
from swell.server.sandbox.job import CPU_LIMIT_S, LENGTH, Refused, Render, Rendered, frame

log = logging.getLogger(__name__)

_PROCESSES_MAX = 4
_REMEMBERED = 64
_ATTEMPTS = 2  # the system may have ended a process for reasons of its own
_TOO_MUCH = "the model's chat template takes too long or too much memory"

_decoder = msgspec.msgpack.Decoder(Rendered | Refused)


class _LostError(Exception):
    """A process ended before it had answered."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class Renders(Protocol):
    """Makes prompts of conversations."""

    async def render(self, job: Render) -> str:
        """What the template writes; raises InvalidRequestError if it refuses, or takes too much."""

    async def warm(self) -> None:
        """Make ready for the first request."""

    async def close(self) -> None:
        """Give back what it has."""


class Renderer:
    """Up to four processes, started when they are needed, each for one rendering at a time.

    A template that took too long is remembered and refused from then on: it would take a process from others each time.
    """

    def __init__(self, limit_s: float = CPU_LIMIT_S) -> None:
        """A rendering may compute for `limit_s`."""
        self._limit_s = limit_s
        self._idle: list[Process] = []
        self._free = asyncio.Semaphore(_PROCESSES_MAX)
        self._refused = OrderedDict[bytes, None]()

    async def render(self, job: Render) -> str:
        key = hashlib.sha256(job.template.encode("utf-8", "surrogatepass")).digest()
        for _ in range(_ATTEMPTS):
            if key in self._refused:
                break
            try:
                async with self._process() as process:
                    answer = await _ask(process, job)
            except _LostError as lost:
                log.warning("a process that renders templates was lost: exit code %d", lost.exit_code)
                if lost.exit_code == -signal.SIGPROF:
                    self._refuse(key)
                continue
            if isinstance(answer, Refused):
                raise InvalidRequestError(answer.reason)
            return answer.text
        raise InvalidRequestError(_TOO_MUCH)

    async def warm(self) -> None:
        """Start one process, so that the first request needn't wait for it."""
        self._idle.append(await self._start())

    async def close(self) -> None:
        """End all processes."""
        for process in self._idle:
            await _end(process)
        self._idle.clear()

    async def _start(self) -> Process:
        command = (sys.executable, "-m", "swell.server.sandbox", str(self._limit_s))
        return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)

    def _refuse(self, key: bytes) -> None:
        self._refused[key] = None
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[Process]:
        """One for the caller alone. It is ended if the caller leaves before its answer, by error or cancellation."""
        async with self._free:
            process = self._idle.pop() if self._idle else await self._start()
            if process.returncode is not None:  # somebody else ended it
                process = await self._start()
            try:
                yield process
            except BaseException:
                await asyncio.shield(_end(process))
                raise
            self._idle.append(process)


async def _ask(process: Process, job: Render) -> Rendered | Refused:
    """Raises _LostError."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(frame(job))
        await process.stdin.drain()
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        answer: Rendered | Refused = _decoder.decode(await process.stdout.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise _LostError(await process.wait()) from error
    return answer


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
