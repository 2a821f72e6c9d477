"""The server's transfers: each in a process of its own, shared by all who ask for the same."""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from swell.errors import (
    InsecureProtocolError,
    MissingLayersError,
    ServerStoppingError,
    SwellError,
    TransferLostError,
    UnexpectedError,
    from_data,
)
from swell.registry.board import ProgressBoard
from swell.registry.messages import (
    Direction,
    Pulled,
    Pushed,
    Reported,
    TransferFailed,
    TransferJob,
    TransferLimits,
    TransferMessage,
)
from swell.store.names import RemoteName
from swell.store.progress import Progress
from swell.store.store import Store

log = logging.getLogger(__name__)

KEY_FILE = Path("~/.ollama/id_ed25519")
_COMMAND = (sys.executable, "-m", "swell.registry")
_LINE_MAX_BYTES = 4 << 20
"""The longest is a manifest in base64."""
_EXIT_WAIT_S = 5.0
_PULLS_MAX = 3
"""If layers that were there are deleted before the manifest that names them is written, they are pulled again."""

_decoder = msgspec.json.Decoder(TransferMessage)


class _Wanted(NamedTuple):
    """What makes two transfers the same."""

    direction: Direction
    scheme: str
    name: str


class _Transfer:
    """One process, or several in turn, and who waits for it."""

    def __init__(self, task: asyncio.Task[None], board: ProgressBoard) -> None:
        self.task = task
        self.board = board
        self.readers = 0


class Transfers:
    """Pulls into a store and pushes from it."""

    def __init__(self, store: Store, *, key_file: Path = KEY_FILE, limits: TransferLimits | None = None) -> None:
        """`key_file` is the key that a registry may ask for; it is made when one does."""
        self._store = store
        self._key_file = key_file.expanduser()
        self._limits = limits or TransferLimits()
        self._running: dict[_Wanted, _Transfer] = {}

    def pull(self, remote: RemoteName, *, insecure: bool) -> AsyncGenerator[Progress, None]:
        """Bring a model into the store; the lines of progress, of which "success" is the last.

        If it is being pulled already, that pull is joined. It goes on as long as anybody iterates, and what has come
        stays for the next one to go on with. With `insecure` the registry is spoken to by plain HTTP. Raises
        InsecureProtocolError, RegistryError, StoreError, TensorModelError, and ServerStoppingError.
        """
        return self._follow(Direction.PULL, remote, insecure=insecure)

    def push(self, remote: RemoteName, *, insecure: bool) -> AsyncGenerator[Progress, None]:
        """Bring a model of the store to its registry, as `pull` does the other way.

        Raises ModelNotFoundError and MissingLayersError, too.
        """
        return self._follow(Direction.PUSH, remote, insecure=insecure)

    async def close(self) -> None:
        """End all transfers."""
        await asyncio.gather(*(_stop(transfer) for transfer in self._running.values()))

    async def _follow(
        self, direction: Direction, remote: RemoteName, *, insecure: bool
    ) -> AsyncGenerator[Progress, None]:
        if remote.scheme == "http" and not insecure:
            raise InsecureProtocolError
        wanted = _Wanted(direction, "http" if insecure else remote.scheme, remote.name.key)
        transfer = self._running.get(wanted)
        if transfer is None or transfer.board.is_ended:
            transfer = self._running[wanted] = self._start(wanted, remote)
        transfer.readers += 1
        try:
            async with contextlib.aclosing(transfer.board.lines()) as lines:
                async for progress in lines:
                    yield progress
        finally:
            transfer.readers -= 1
            if not transfer.readers:
                if self._running.get(wanted) is transfer:
                    del self._running[wanted]
                await _stop(transfer)

    def _start(self, wanted: _Wanted, remote: RemoteName) -> _Transfer:
        job = TransferJob(
            direction=wanted.direction,
            name=remote.name,
            scheme=wanted.scheme,
            folder=str(self._store.folder),
            prunes=self._store.prunes,
            key_file=str(self._key_file),
            limits=self._limits,
        )
        board = ProgressBoard()
        return _Transfer(
            asyncio.create_task(self._carry_out(job, board), name=f"{wanted.direction.value} {wanted.name}"), board
        )

    async def _carry_out(self, job: TransferJob, board: ProgressBoard) -> None:
        error: SwellError | None = ServerStoppingError()  # what is left if this is cancelled
        try:
            await self._try(job, board)
            board.put(Progress("success"))
            error = None
        except SwellError as failure:
            log.warning("%s of %s: %s", job.direction.value, job.name.full, failure)
            error = failure.with_traceback(None)
        except Exception as bug:
            log.exception("a transfer can't be followed")
            error = UnexpectedError(repr(bug))
        finally:
            board.end(error)
            del error  # it may hold this frame

    async def _try(self, job: TransferJob, board: ProgressBoard) -> None:
        for attempt in range(_PULLS_MAX):
            end = await _run(job, board)
            if isinstance(end, Pushed):
                return
            board.put(Progress("writing manifest"))
            try:
                await asyncio.to_thread(self._store.commit, job.name, end.manifest)
                return
            except MissingLayersError:
                if attempt == _PULLS_MAX - 1:
                    raise


async def _stop(transfer: _Transfer) -> None:
    transfer.task.cancel()
    await asyncio.wait([transfer.task])
    if not transfer.board.is_ended:  # the task was cancelled before it began
        transfer.board.end(ServerStoppingError())


async def _run(job: TransferJob, board: ProgressBoard) -> Pulled | Pushed:
    """Have a process do the job, and show its progress; its last message. Raises the error it ends with."""
    async with _process(job) as process:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            match _decode(line):
                case Reported(progress):
                    board.put(progress)
                case TransferFailed(kind, fields):
                    raise from_data(kind, fields)
                case end:
                    return end
        raise TransferLostError(f"exit code {await process.wait()}")


def _decode(line: bytes) -> TransferMessage:
    try:
        message: TransferMessage = _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise TransferLostError(f"it said something that can't be understood: {error}") from error
    return message


@contextlib.asynccontextmanager
async def _process(job: TransferJob) -> AsyncIterator[Process]:
    """The process of a transfer, which ends when the block is left: whatever it leaves is sound."""
    try:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND, stdin=PIPE, stdout=PIPE, limit=_LINE_MAX_BYTES, start_new_session=True
        )
    except OSError as error:
        raise TransferLostError(f"it can't be started: {error}") from error
    assert process.stdin is not None
    try:
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        yield process
    finally:
        process.stdin.close()  # it ends with its input
        await asyncio.shield(_ended(process))


async def _ended(process: Process) -> None:
    try:
        async with asyncio.timeout(_EXIT_WAIT_S):
            await process.wait()
    except TimeoutError:
        log.warning("the process of a transfer did not end; killing it")
        process.kill()
        await process.wait()
