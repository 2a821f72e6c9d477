"""Notices that a runner gives no sign of life."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from swell.protocol.messages import Pong

_LOOKS = 4  # within the time after which a runner counts as stuck
_PATIENCE = 10  # times that: a process takes long to start on a busy machine, a batch of a large model to compute


async def until_stuck(ping: Callable[[], Awaitable[Pong]], is_awaited: Callable[[], bool], stuck_s: float) -> float:
    """For how many seconds a process has given no sign of life, once those are too many while somebody waits for it.

    Too many are `stuck_s` without an answer to `ping`, and ten times that within one batch or before the first answer.
    """
    has_started = False
    batches, since_s = -1, time.monotonic()
    while True:
        await asyncio.sleep(stuck_s / _LOOKS)
        if not is_awaited():
            since_s = time.monotonic()
            continue
        try:
            async with asyncio.timeout(stuck_s if has_started else _PATIENCE * stuck_s):
                pong = await ping()
        except TimeoutError:
            return time.monotonic() - since_s
        has_started = True
        if pong.batches is None or pong.batches != batches:
            batches, since_s = -1 if pong.batches is None else pong.batches, time.monotonic()
        elif time.monotonic() - since_s > _PATIENCE * stuck_s:
            return time.monotonic() - since_s
