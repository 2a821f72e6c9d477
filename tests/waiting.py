"""Waiting for what happens, instead of for a time."""

import asyncio
import time
from collections.abc import Callable

import psutil

PATIENCE_S = 60.0


def wait_until(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Poll `condition`; fails when it isn't met in time."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {what}"
        time.sleep(0.02)


async def until(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """As `wait_until`, while an event loop's tasks go on."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience_s:g} s: {what}"
        await asyncio.sleep(0.01)


def is_alive(process: psutil.Process) -> bool:
    """Whether it has not ended; one that nobody waits for stays a zombie, which has ended."""
    try:
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


async def settle() -> None:
    """Let everything happen in this event loop that can happen at once."""
    for _ in range(50):
        await asyncio.sleep(0)
