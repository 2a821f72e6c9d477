"""The time of day and timers, so that tests can have their own."""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """Something that will happen."""

    def cancel(self) -> None:
        """It won't; fine if it has."""


class Clock(Protocol):
    """What time it is, and what happens when."""

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
        """Whether the pause since the last time this was true is over."""
        now_s = time.monotonic()
        if now_s - self._last_s < self._pause_s:
            return False
        self._last_s = now_s
        return True


class SystemClock:
    """The real one."""

    def now(self) -> datetime:
        return datetime.now(UTC).astimezone()

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        return asyncio.get_running_loop().call_later(delay_s, callback)
