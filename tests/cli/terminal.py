"""A terminal with a command in it, and somebody who types."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

import psutil

PATIENCE_S = 60.0
SWELL = (sys.executable, "-m", "swell")
CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"


class Terminal:
    """`program` with these arguments, its keyboard and its screen; a context manager that ends it."""

    def __init__(
        self, *arguments: str, environment: Mapping[str, str], columns: int = 80, program: Sequence[str] = SWELL
    ) -> None:
        self._leader, follower = pty.openpty()
        self.resize(columns)
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env={"TERM": "xterm", **environment},
            start_new_session=True,
            preexec_fn=_take_terminal,  # so that Ctrl-C is a signal
        )
        os.close(follower)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._leader)

    def resize(self, columns: int) -> None:
        """Make it so wide."""
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def type(self, keys: str) -> None:
        """Press these keys when the command waits for something.

        Nobody is as quick as a test: Python's readline overlooks a Ctrl-C within microseconds after another key.
        """
        while psutil.Process(self.process.pid).status() not in (psutil.STATUS_SLEEPING, psutil.STATUS_ZOMBIE):
            time.sleep(0.005)
        os.write(self._leader, keys.encode())

    def until(self, text: str) -> str:
        """What is shown up to and including `text`, lines ended by newlines."""
        seen, deadline_s = b"", time.monotonic() + PATIENCE_S
        while not seen.endswith(text.encode()):
            ready, _, _ = select.select([self._leader], [], [], max(0, deadline_s - time.monotonic()))
            assert ready, f"{text!r} doesn't come after {seen!r}"
            seen += os.read(self._leader, 1)
        return re.sub("\r+\n", "\n", seen.decode())

    def echoes(self) -> bool:
        """Whether what is typed would be shown: it wouldn't in the raw mode of an editor that didn't clean up."""
        flags: int = termios.tcgetattr(self._leader)[3]
        return bool(flags & termios.ECHO and flags & termios.ICANON)

    def end(self) -> int:
        """The exit status; the command must end by itself."""
        return self.process.wait(PATIENCE_S)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
