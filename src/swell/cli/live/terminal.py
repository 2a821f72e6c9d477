"""The whole terminal for a view, and its keyboard; both are left as they were."""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, NoReturn

from swell.cli.live.keys import Key, pressed
from swell.cli.screen import terminal_size

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
_READ_BYTES = 1024
_TERMINATED_EXIT_CODE = 128 + signal.SIGTERM


def is_terminal() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


class LiveTerminal:
    """A context manager that takes the other screen of the terminal at stdout, and keys without Return from stdin.

    Ctrl-C raises KeyboardInterrupt as everywhere; Ctrl-Z gives the terminal back for as long as the program rests.
    Lines are written over the ones before, so that nothing flickers. Used by one thread, but for `wake`.
    """

    def __init__(self) -> None:
        self.has_keyboard = sys.stdin is not None and sys.stdin.isatty()
        self._attributes: list[Any] = []
        self._handlers: dict[signal.Signals, Any] = {}
        self._awake, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def __enter__(self) -> "LiveTerminal":
        handlers = {
            signal.SIGWINCH: self._on_resize,
            signal.SIGTSTP: self._on_stop,
            signal.SIGTERM: _on_termination,
        }
        self._handlers = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        self._take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows that may be written to: after a full line, terminals differ."""
        columns, rows = terminal_size(sys.stdout)
        return columns - 1, rows

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, which fit `size`, and nothing else."""
        text = f"{_CLEAR_LINE}\r\n".join(lines)
        self._write(f"{_HOME}{text}{_CLEAR_LINE}{_CLEAR_BELOW}")

    def wait(self, timeout_s: float) -> list[Key]:
        """The keys that were pressed, when there are some; none after `timeout_s`, or when woken or resized."""
        sources = [self._awake, *([sys.stdin.fileno()] if self.has_keyboard else [])]
        ready, _, _ = select.select(sources, [], [], timeout_s)
        if self._awake in ready:
            os.read(self._awake, _READ_BYTES)
        if not self.has_keyboard or sys.stdin.fileno() not in ready:
            return []
        data = os.read(sys.stdin.fileno(), _READ_BYTES)
        self.has_keyboard = bool(data)  # it may be closed
        return pressed(data)

    def wake(self) -> None:
        """Let `wait` return; from any thread."""
        try:
            os.write(self._wake, b"!")
        except BlockingIOError:
            return  # it has been woken often enough

    def _take(self) -> None:
        if self.has_keyboard:
            self._attributes = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        self._write(_ENTER)

    def _give_back(self) -> None:
        self._write(_LEAVE)
        if self._attributes:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._attributes)

    def _on_resize(self, _number: int, _frame: FrameType | None) -> None:
        self.wake()

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self.wake()

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _on_termination(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED_EXIT_CODE)
