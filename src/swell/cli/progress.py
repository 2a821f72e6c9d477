"""How far something long has come, in lines: what is being done, and bars of what is being moved. Pure.

A line is done when it is full, or when a line without a bar comes after it; bars may fill up side by side.
"""

from collections import deque
from dataclasses import dataclass, field

from rich.cells import cell_len

from swell.cli.fitting import fitted, visible
from swell.cli.human import human_bytes
from swell.durations import format_duration

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_S = 0.1
_BAR_MIN_COLUMNS = 6
_RATE_WINDOW_S = 5.0
_FAR_S = 100 * 3600
"""What takes longer says so instead of how long."""


@dataclass
class Line:
    """What is being done. `total` bytes are to be moved, if any; the rest is for bars."""

    label: str
    total: int = 0
    completed: int = 0
    is_done: bool = False
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def reach(self, completed: int, now_s: float) -> None:
        """So many bytes have been moved."""
        self.completed = min(max(completed, 0), self.total)
        self.is_done = self.completed == self.total
        self._samples.append((now_s, self.completed))
        while len(self._samples) > 2 and self._samples[1][0] < now_s - _RATE_WINDOW_S:
            self._samples.popleft()

    def rate(self, now_s: float) -> float:
        """Bytes in a second, of late; 0 while that isn't known."""
        if not self._samples:
            return 0.0
        since_s, before = self._samples[0]
        return max(0.0, (self.completed - before) / (now_s - since_s)) if now_s > since_s else 0.0

    def drawn(self, columns: int, now_s: float) -> str:
        """The line, not longer than `columns`."""
        if self.total:
            return fitted(self._bar(columns, now_s), columns)
        spinner = "" if self.is_done else f" {SPINNER[int(now_s / _FRAME_S) % len(SPINNER)]}"
        return fitted(fitted(self.label, columns - len(spinner)) + spinner, columns)

    def _bar(self, columns: int, now_s: float) -> str:
        """Label and percentage, then as much as there is room for: the bar, sizes, rate, the time that is left."""
        percent = f": {self.completed * 100 // self.total:3d}%"
        left = fitted(self.label, columns - len(percent)) + percent
        texts = self._texts(now_s)
        room = columns - cell_len(left) - 3 - _BAR_MIN_COLUMNS  # a blank and the bar's ends
        while texts and sum(map(len, texts)) > room:
            texts.pop()
        right = "".join(texts)
        room -= len(right)
        if room < 0:
            return left
        bar_columns = room + _BAR_MIN_COLUMNS
        bar = "█" * (bar_columns * self.completed // self.total)
        return f"{left} ▕{bar:<{bar_columns}}▏{right}".rstrip()

    def _texts(self, now_s: float) -> list[str]:
        """What stands behind the bar, always of the same length, so that the bar has one, too."""
        if self.completed == self.total:
            return [f" {human_bytes(self.total):<13}", " " * 10, " " * 7]
        sizes = f"{human_bytes(self.completed)}/{human_bytes(self.total)}"
        rate = 0.0 if self.is_done else self.rate(now_s)
        return [f" {sizes:>13}", f"  {_speed(rate):>8}", f"  {_time_left(self.total - self.completed, rate):>5}"]


class Board:
    """All lines, in the order in which they came."""

    def __init__(self) -> None:
        self._lines: list[Line] = []
        self._bars: dict[str, Line] = {}
        self._step = ""  # what is being done now without a bar
        self._settled = 0

    def step(self, label: str) -> bool:
        """Something without a bar is being done now, and all before it is done. False if this is known already."""
        if label == self._step:
            return False
        self.finish()
        self._step = label
        self._lines.append(Line(visible(label)))
        return True

    def bar(self, key: str, label: str, total: int, completed: int, now_s: float) -> bool:
        """Of what `key` stands for, `completed` of `total` bytes have been moved. False if there is a bar for it."""
        is_new = key not in self._bars
        if is_new:
            if self._step:
                self.finish()
            self._bars[key] = Line(visible(label), total)
            self._lines.append(self._bars[key])
        self._bars[key].reach(completed, now_s)
        return is_new

    def finish(self) -> None:
        """All that was begun is done."""
        self._step = ""
        for line in self._lines[self._settled :]:
            line.is_done = True

    def settle(self) -> list[Line]:
        """The lines that won't change any more; they are no longer in `moving`."""
        before = self._settled
        while self._settled < len(self._lines) and self._lines[self._settled].is_done:
            self._settled += 1
        return self._lines[before : self._settled]

    @property
    def latest(self) -> str:
        """The label of the line that came last."""
        return self._lines[-1].label

    @property
    def moving(self) -> list[Line]:
        """The lines from the first one on that may change."""
        return self._lines[self._settled :]


def _speed(rate: float) -> str:
    return f"{human_bytes(int(rate))}/s" if rate >= 1 else ""


def _time_left(left_bytes: int, rate: float) -> str:
    if rate < 1:
        return ""
    left_s = left_bytes / rate
    return format_duration(round(left_s)) if left_s < _FAR_S else "99h+"
