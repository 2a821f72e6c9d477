"""What a transfer's process writes to the server, and the end of one that gets nowhere."""

import os
import threading
import time
from typing import BinaryIO

import msgspec

from swell.errors import RegistryUnreachableError, to_data
from swell.registry.messages import Reported, TransferFailed, TransferJob, TransferMessage
from swell.store.progress import Progress

_INTERVAL_S = 0.06
"""Between two lines of the same blob, as in Ollama."""
_LOOKS = 20
"""How often in its patience the watchdog looks."""


class Reporter:
    """Writes messages. When nothing has got on for as long as the job's limits bear, the process ends with an error:
    whatever a thread may be waiting for, a transfer has an end."""

    def __init__(self, out: BinaryIO, job: TransferJob) -> None:
        self._out = out
        self._host = job.name.host
        self._patience_s = job.limits.patience_s
        self._writing = threading.Lock()
        self._latest: Progress | None = None
        self._written_s = 0.0
        self._active_s = time.monotonic()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def report(self, progress: Progress) -> None:
        """Say how far the transfer is. Lines that come too fast are left out, but not a blob's last one."""
        if progress == self._latest:
            return
        now = self._active_s = time.monotonic()
        is_new = self._latest is None or progress.status != self._latest.status or progress.completed == progress.total
        if is_new or now - self._written_s >= _INTERVAL_S:
            self._latest, self._written_s = progress, now
            self._write(Reported(progress))

    def keep_alive(self) -> None:
        """Something got on of which there is nothing to say."""
        self._active_s = time.monotonic()

    def end(self, message: TransferMessage, status: int = 0) -> None:
        """Write the last message, and end the process with that exit status, whatever its threads are doing."""
        self._write(message)
        os._exit(status)

    def _write(self, message: TransferMessage) -> None:
        line = msgspec.json.encode(message) + b"\n"
        with self._writing:
            try:
                self._out.write(line)
                self._out.flush()
            except OSError:  # the server is gone
                os._exit(1)

    def _watch(self) -> None:
        while time.monotonic() - self._active_s < self._patience_s:
            time.sleep(self._patience_s / _LOOKS)
        error = RegistryUnreachableError(self._host, f"nothing got on for {self._patience_s:g} s")
        self.end(TransferFailed(*to_data(error)), 1)
