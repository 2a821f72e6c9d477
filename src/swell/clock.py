"""The time of day and timers, so that tests can have their own."""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A callback that is due at some time."""

    def cancel(self) -> None:
        """Don't call it any more; nothing happens if it was called already."""


class Clock(Protocol):
    """The time of day, and timers."""

    def now(self) -> datetime:
        """The time of day, in the server's time zone."""

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` from the event loop after `delay_s`."""


class RateLimit:
    """At most once in `pause_s`: for log lines that clients could cause without end."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._last_s = -math.inf

    def allows(self) -> bool:
        """Whether the pause has passed since this last returned true."""
        now_s = time.monotonic()
        if now_s - self._last_s < self._pause_s:
            return False
        self._last_s = now_s
        return True


class SystemClock:
    """The system's time, and the event loop's timers."""

    def now(self) -> datetime:
        return datetime.now(UTC).astimezone()

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_s, callback)
