"""Real workers in processes of their own, on loopback."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from tests.waiting import PATIENCE_S, wait_until

from swell.remote.worker import CLIENTS_MAX

_READINGS = 25
"""So many that are equal: half a second."""
_ADDRESS = re.compile(r"lending .* on (\S+:[0-9]+)")


class Worker:
    """One worker; `address` as `SWELL_WORKERS` wants it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        wait_until(self._has_begun, "the worker listens")
        found = _ADDRESS.search(log.read_text())
        assert found, log.read_text()
        self.address = found[1]

    def _has_begun(self) -> bool:
        return self.process.poll() is not None or _ADDRESS.search(self.log.read_text()) is not None

    def kill(self) -> None:
        """End it without a word, as a machine does that loses power."""
        self.process.kill()
        self.process.wait()

    def written_bytes(self) -> int:
        """What its processes have written to, as the kernel counts it."""
        return sum(each.memory_full_info().uss for each in psutil.Process(self.process.pid).children())

    def idle_bytes(self) -> int:
        """The same once all of its processes have begun and wait for clients: until then each writes some."""
        readings: list[int] = []

        def settled() -> bool:
            readings.append(self.written_bytes())
            waiting = [
                child.status() == psutil.STATUS_SLEEPING for child in psutil.Process(self.process.pid).children()
            ]
            if len(waiting) < CLIENTS_MAX or not all(waiting):
                readings.clear()
            return len(readings) >= _READINGS and len(set(readings[-_READINGS:])) == 1

        wait_until(settled, "the worker's processes have begun")
        return readings[-1]


@contextlib.contextmanager
def lending(log: Path, memory: str = "400MB", *, threads: int = 1) -> Iterator[Worker]:
    """A worker on a free port of loopback; `threads` 0 is as many as the machine can give."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "swell", "worker", "--port", "0", "--memory", memory, "--threads", str(threads)],
            stdin=subprocess.DEVNULL,
            stderr=output,
        )
    try:
        yield Worker(process, log)
        if process.poll() is None:
            children = psutil.Process(process.pid).children()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0, log.read_text()
            assert all(not child.is_running() for child in children)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
