"""Progress as a terminal shows it, and as a file gets it."""

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator
from contextlib import suppress
from typing import TextIO

import pytest
from tests.cli.screen import Screen

from swell.cli.screen import MovingDisplay, open_display

MB = 10**6


class Watched:
    """A terminal, `stream` that writes to it, and the `screen`."""

    def __init__(self) -> None:
        self._leader, follower = pty.openpty()
        self.stream: TextIO = os.fdopen(follower, "w", encoding="utf-8")
        self.screen = Screen(0)

    def resize(self, columns: int, rows: int = 24) -> None:
        fcntl.ioctl(self._leader, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(columns)

    def look(self) -> list[str]:
        os.set_blocking(self._leader, False)
        written = b""
        while True:
            try:
                written += os.read(self._leader, 1 << 16)
            except BlockingIOError:
                break
        self.screen.write(written.decode())
        return self.screen.shown

    def close(self) -> None:
        self.stream.close()
        os.close(self._leader)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Watched()
    terminal.resize(60)
    yield terminal
    terminal.close()


def drawn(display: MovingDisplay, terminal: Watched) -> list[str]:
    """The lines on the screen, as far as they don't depend on the time."""
    display.draw()
    return [line.rstrip()[:15] for line in terminal.look()]


def test_bars_fill_up_side_by_side(watched: Watched) -> None:
    display = MovingDisplay(watched.stream)
    display.step("pulling")
    assert [line[:-1] for line in drawn(display, watched)] == ["pulling "]
    display.bar("a", "pulling a", 100 * MB, 50 * MB)
    display.bar("b", "pulling b", 100 * MB, 10 * MB)
    assert drawn(display, watched) == ["pulling", "pulling a:  50%", "pulling b:  10%"]
    display.bar("b", "pulling b", 100 * MB, 100 * MB)
    display.bar("c", "pulling c", 100 * MB, 1 * MB)
    assert drawn(display, watched) == ["pulling", "pulling a:  50%", "pulling b: 100%", "pulling c:   1%"]
    display.bar("a", "pulling a", 100 * MB, 100 * MB)
    display.bar("c", "pulling c", 100 * MB, 100 * MB)
    display.step("success")
    assert drawn(display, watched)[:-1] == ["pulling", "pulling a: 100%", "pulling b: 100%", "pulling c: 100%"]


@pytest.mark.parametrize("sizes", [(20, 60), (59, 58, 30, 17, 16, 10, 5, 80), (200, 20)])
def test_a_terminal_may_change_its_size(watched: Watched, sizes: tuple[int, ...]) -> None:
    display = MovingDisplay(watched.stream)
    for name in ("a", "b", "c"):
        display.bar(name, f"pulling {name}", 100 * MB, 50 * MB)
    drawn(display, watched)
    for columns in sizes:
        watched.resize(columns)
        lines = drawn(display, watched)
        assert len(lines) == 3
        if columns > 20:
            assert lines == [f"pulling {name}:  50%" for name in ("a", "b", "c")]


def test_a_low_terminal_shows_the_last_lines(watched: Watched) -> None:
    watched.resize(60, rows=4)
    display = MovingDisplay(watched.stream)
    for name in "abcdef":
        display.bar(name, f"pulling {name}", 100 * MB, 50 * MB)
    assert drawn(display, watched) == [f"pulling {name}:  50%" for name in "def"]
    for name in "abcdef":
        display.bar(name, f"pulling {name}", 100 * MB, 100 * MB)
    assert drawn(display, watched) == [f"pulling {name}: 100%" for name in "abcdef"]


def test_a_terminal_is_left_as_it_was(watched: Watched) -> None:
    with open_display(watched.stream) as display:
        display.step("pulling manifest")
        display.bar("a", "pulling a", 100 * MB, 50 * MB)
        watched.look()
        assert not watched.screen.shows_cursor
    watched.stream.write("next\n")
    watched.stream.flush()
    assert [line.split("▕")[0] for line in watched.look()] == ["pulling manifest", "pulling a:  50% ", "next"]
    assert watched.screen.shows_cursor


def test_it_is_left_so_after_an_interrupt_too(watched: Watched) -> None:
    with suppress(KeyboardInterrupt), open_display(watched.stream) as display:
        display.step("pulling manifest")
        raise KeyboardInterrupt
    assert watched.look() == ["pulling manifest"]
    assert watched.screen.shows_cursor


def test_a_file_gets_a_line_for_each_step() -> None:
    stream = io.StringIO()
    with open_display(stream) as display:
        display.step("pulling manifest")
        display.step("pulling manifest")
        display.bar("a", "pulling a", 100, 50)
        display.bar("b", "pulling b", 100, 100)
        display.bar("a", "pulling a", 100, 100)
        display.step("success")
    assert stream.getvalue() == "pulling manifest\npulling a\npulling b\nsuccess\n"


def test_a_terminal_that_cant_move_its_cursor_does_too(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with open_display(watched.stream) as display:
        display.step("pulling manifest")
        display.step("success")
    assert watched.look() == ["pulling manifest", "success"]
