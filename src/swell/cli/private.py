"""A private server: started for one `run` and ended with it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from swell.cli.errors import CommandError, PrivateServerError
from swell.host import HostAddress

_BACKLOG = 16
_EXIT_TIMEOUT_S = 5.0
_CRASH_TIMEOUT_S = 2.0
_LOG_LINES = 10
_LOG_TAIL_BYTES = 8192

# -P: a directory called `swell` where the user happens to be must not be taken for the package.
SERVER_COMMAND = (sys.executable, "-P", "-m", "swell", "serve", "--until-stdin-closes", "--listen-fd")


class PrivateServer:
    """A server process on a free port of 127.0.0.1; a context manager that ends it.

    The socket listens before the process starts, so requests may be sent at once and wait until it is ready. The
    process ends when its stdin is closed, which the kernel does even if this process is killed.
    """

    def __init__(self, command: Sequence[str] = SERVER_COMMAND) -> None:
        """`command` gets the number of the listening descriptor as one more argument."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(_BACKLOG)
            self.address = HostAddress("http", "127.0.0.1", listener.getsockname()[1])
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
            self._process = subprocess.Popen(
                [*command, str(listener.fileno())],
                pass_fds=(listener.fileno(),),
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                env={**os.environ, "OLLAMA_HOST": f"127.0.0.1:{self.address.port}"},
                start_new_session=True,  # Ctrl-C in the terminal stops an answer, not the server
            )
        # The listener is closed here: if the process dies, waiting requests are reset instead of hanging.

    def __enter__(self) -> "PrivateServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process.stdin:
                self._process.stdin.close()
            self._process.wait(_EXIT_TIMEOUT_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            with suppress(ProcessLookupError):  # it ended just now
                os.killpg(self._process.pid, signal.SIGKILL)  # its runners end when it does
            self._process.wait()
        finally:
            self._log.close()

    def explain(self, error: CommandError) -> CommandError:
        """The error to show for a failed request: if the server died, one with the end of its log, else `error`."""
        try:
            exit_code = self._process.wait(_CRASH_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return error
        return PrivateServerError(exit_code, self._log_tail())

    def _log_tail(self) -> str:
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _LOG_TAIL_BYTES))
        lines = self._log.read().decode("utf-8", "replace").splitlines()
        return "\n".join([line for line in lines if line.strip()][-_LOG_LINES:])
