"""Progress on stderr: lines that move on a terminal, one for each step elsewhere."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Protocol, TextIO

from swell.cli.progress import Board, Line

_FRAME_S = 0.1
_HIDE_CURSOR, _SHOW_CURSOR, _CLEAR_BELOW = "\x1b[?25l", "\x1b[?25h", "\r\x1b[J"


class Display(Protocol):
    """Where a long command shows what it does."""

    def step(self, label: str) -> None:
        """Something is being done now, and what was done before is finished."""

    def bar(self, key: str, label: str, total: int, completed: int) -> None:
        """Of what `key` stands for, `completed` of `total` bytes have been moved."""


@contextmanager
def open_display(stream: TextIO | None = None) -> Iterator[Display]:
    """Progress as `stream`, which is stderr unless given, can show it."""
    stream = stream or sys.stderr
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        with MovingDisplay(stream) as display:
            yield display
    else:
        yield PlainDisplay(stream)


class PlainDisplay:
    """A line of text for each step and each bar, when it begins."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._board = Board()

    def step(self, label: str) -> None:
        if self._board.step(label):
            self._print()

    def bar(self, key: str, label: str, total: int, completed: int) -> None:
        if self._board.bar(key, label, total, completed, time.monotonic()):
            self._print()

    def _print(self) -> None:
        print(self._board.latest, file=self._stream, flush=True)


class MovingDisplay:
    """Lines that are drawn again ten times a second, by a thread.

    Between two drawings the cursor stands where the first moving line begins. So whatever a terminal makes of longer
    lines when it becomes narrower, clearing all below the cursor removes it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._board = Board()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, daemon=True)

    def __enter__(self) -> "MovingDisplay":
        self._write(_HIDE_CURSOR)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._board.finish()
        self.draw()
        self._write(_SHOW_CURSOR)

    def step(self, label: str) -> None:
        with self._lock:
            self._board.step(label)

    def bar(self, key: str, label: str, total: int, completed: int) -> None:
        with self._lock:
            self._board.bar(key, label, total, completed, time.monotonic())

    def draw(self) -> None:
        """Write the lines that won't change any more for good; below them those that may, as far as there is room."""
        columns, rows = terminal_size(self._stream)
        now_s = time.monotonic()

        def drawn(lines: list[Line]) -> list[str]:
            return [line.drawn(columns - 1, now_s) for line in lines]  # after a full line, terminals differ

        settled = "".join(f"{line}\n" for line in drawn(self._board.settle()))
        moving = drawn(self._board.moving)[-(rows - 1) :]
        back = f"\x1b[{len(moving) - 1}A" if len(moving) > 1 else ""
        self._write(f"{_CLEAR_BELOW}{settled}" + "\n".join(moving) + f"{back}\r")

    def _keep_drawing(self) -> None:
        while not self._ended.wait(_FRAME_S):
            with self._lock, suppress(OSError):  # the terminal is gone, and who is to be told?
                self.draw()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and rows of a terminal, those of an ordinary one where it doesn't know."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except OSError:
        columns, rows = 0, 0
    return columns or 80, max(rows, 2) if rows else 24
