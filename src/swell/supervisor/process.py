"""The process of a runner: started with a socket to it, ended, and what became of it."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence

from swell.errors import LoadDiedError, RunnerLostError, WorkerLostError
from swell.loss import Loss
from swell.memory.kills import KillCounter
from swell.protocol.messages import WORKER_EXIT_CODES, Load
from swell.supervisor.causes import loss_of

log = logging.getLogger(__name__)

_EXIT_WAIT_S = 5.0


class RunnerProcess:
    """One process and the two ends of the connection to it."""

    def __init__(
        self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, workers: Sequence[str]
    ) -> None:
        """`workers` are the addresses of those that it uses."""
        self.reader = reader
        self.writer = writer
        self._process = process
        self._workers = workers
        self._kill_counter = KillCounter()
        self._kills = self._kill_counter.now()
        self._loss: Loss | None = None

    @classmethod
    async def start(cls, load: Load) -> "RunnerProcess":
        """A new process, which waits for messages. Raises LoadDiedError if there can't be one."""
        try:
            ours, theirs = socket.socketpair()
            with theirs, contextlib.ExitStack() as on_failure:
                on_failure.callback(ours.close)
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "swell.runner", str(theirs.fileno()), str(os.getpid())),
                    stdin=DEVNULL,
                    pass_fds=(theirs.fileno(), load.ledger_fd, load.devices_fd, load.demands_fd),
                    start_new_session=True,  # Ctrl-C in the server's terminal is the server's business
                )
                on_failure.pop_all()
        except OSError as error:  # too many files or processes, or no memory for another one
            raise LoadDiedError(f"it can't be started: {error}") from error
        return cls(process, *await asyncio.open_unix_connection(sock=ours), load.workers)

    @property
    def id(self) -> int:
        return self._process.pid

    def kills(self) -> int:
        """How many processes of this one's control group the kernel has killed for want of memory."""
        return self._kill_counter.now()

    def was_alive(self, kills: int) -> None:
        """When there had been so many `kills`, it was none of them."""
        self._kills = kills

    def kill(self, loss: Loss | None = None) -> None:
        """End it, if it hasn't ended: it keeps nothing that must be saved. `loss` says why if the exit code doesn't."""
        self._loss = loss or self._loss
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def exit_code(self) -> int | None:
        """The exit code, once the connection has ended; a process that lingers is killed."""
        try:
            async with asyncio.timeout(_EXIT_WAIT_S):
                return await self._process.wait()
        except TimeoutError:
            log.warning("runner %d closed its connection but did not exit; killing it", self.id)
            self._process.kill()
            return await self._process.wait()

    def lost_error(self, exit_code: int | None) -> RunnerLostError:
        """What its end is to those who wait for it."""
        worker = dict(zip(WORKER_EXIT_CODES, self._workers, strict=False)).get(exit_code or 0)
        if worker is not None:
            return WorkerLostError(exit_code, Loss.WORKER, worker)
        loss = self._loss or loss_of(exit_code, kills=self._kill_counter.now() - self._kills)
        return RunnerLostError(exit_code, loss)


def load_died(error: RunnerLostError) -> LoadDiedError:
    """The error of a load whose process was lost, in Go's words."""
    cause = error.loss.value if error.loss is Loss.STUCK else _cause(error.exit_code)
    return LoadDiedError(cause, error.exit_code, error.loss)


def _cause(exit_code: int | None) -> str:
    """Why a process ended, as Go words it."""
    if exit_code is None:
        return "its connection ended"
    if exit_code >= 0:
        return f"exit status {exit_code}"
    text = (signal.strsignal(-exit_code) or f"number {-exit_code}").lower()
    return f"signal: {text}" + (" (the system may be out of memory)" if -exit_code == signal.SIGKILL else "")
