"""Which requests wait, pause or fail when memory is refused. Pure but for the memory it is given.

First a request waits for memory of other models. If there is none, the youngest request of this one is paused: it gives
up its cells, and computes them again when another request has ended.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Sequence

from swell.errors import KvGrowError
from swell.protocol.messages import NeedMemory
from swell.runner.counters import Counters
from swell.runner.memory import SlotMemory
from swell.runner.slots import EngineRequest, MemoryWait, Shortage, Slot

log = logging.getLogger(__name__)


class Shortages:
    """Grants slots what the next batch needs, or lets their requests wait while the others go on."""

    def __init__(
        self,
        slots: Sequence[Slot],
        memory: SlotMemory,
        counters: Counters,
        *,
        ask: Callable[[NeedMemory], None],
        wait_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask` sends for other models' memory, which is waited for up to `wait_s` seconds of `clock`; with 0 it is not
        asked for.
        """
        self._slots = slots
        self._memory = memory
        self._counters = counters
        self._ask = ask
        self._wait_s = wait_s
        self._clock = clock

    def grant(self, slot: Slot, cells: int) -> KvGrowError | None:
        """Grant `cells` to a busy slot, or what its request waited for if the wait is over.

        If memory is refused the request waits, or others are paused for it. Returns the error that it fails with when
        neither helps; to take it out of its slot is up to the caller.
        """
        request = slot.request
        if request is None:
            return None
        shortage = request.shortage
        if shortage is not None:
            if self._clock() < shortage.until_s:
                return None
            cells = shortage.cells
        try:
            self._memory.grant(slot, cells)
        except KvGrowError as error:
            if shortage is None:
                return self.refused(slot, request, cells, error)
            return self._make_room(slot, request, cells, error)
        request.shortage = None
        return None

    def refused(self, slot: Slot, request: EngineRequest, cells: int, error: KvGrowError) -> KvGrowError | None:
        """`request` in `slot` was refused `cells` with `error`, for the first time. Returns what `grant` returns."""
        if self._wait_s == 0:
            return self._make_room(slot, request, cells, error)
        log.info("%s; asking for what other models have", error)
        request.shortage = Shortage(cells, self._clock() + self._wait_s, MemoryWait.OTHERS)
        self._ask(NeedMemory(id=request.id, missing_bytes=max(0, error.missing_bytes), device=error.device))
        return None

    def end_wait(self, request_id: int) -> None:
        """Memory was offered: the next `grant` tries again. Does nothing if the request is gone or doesn't wait."""
        for request in self._waiting():
            if request.id == request_id:
                _end_wait(request)

    def resume_eldest(self) -> None:
        """A request has ended: of those that are paused, the one that was started first tries again."""
        paused = [one for one in self._waiting() if one.shortage and one.shortage.wait is MemoryWait.PAUSE]
        if paused:
            _end_wait(min(paused, key=lambda request: request.started_ns))

    def next_end_s(self) -> float:
        """When the first of the waits ends, by the clock. At least one request must be waiting."""
        return min(request.shortage.until_s for request in self._waiting() if request.shortage)

    def _make_room(self, slot: Slot, request: EngineRequest, cells: int, error: KvGrowError) -> KvGrowError | None:
        """Pause younger requests, the youngest first, until `cells` are there, if theirs are enough for that.

        If they aren't, this request is paused until one of its elders has ended; without elders it fails.
        """
        others = [pair for pair in self._busy() if pair[0] is not slot and pair[0].cells.granted]
        younger = [pair for pair in others if pair[1].started_ns > request.started_ns]
        more_bytes = self._memory.reclaimable_bytes([slot for slot, _ in younger]) - self._memory.reclaimable_bytes()
        if error.missing_bytes <= more_bytes:
            for victim in sorted(younger, key=lambda pair: pair[1].started_ns, reverse=True):
                self._pause(*victim)
                try:
                    self._memory.grant(slot, cells)
                except KvGrowError as again:
                    error = again
                else:
                    request.shortage = None
                    return None
        if len(younger) == len(others):
            return error
        self._pause(slot, request)
        return None

    def _pause(self, slot: Slot, request: EngineRequest) -> None:
        log.warning("generation %d is paused: there is no memory for its %d cells", request.id, len(slot.tokens))
        if request.shortage is None or request.shortage.wait is not MemoryWait.PAUSE:
            self._counters.request_paused()
        request.shortage = Shortage(len(slot.tokens), math.inf, MemoryWait.PAUSE)
        self._memory.give_up(slot)

    def _busy(self) -> list[tuple[Slot, EngineRequest]]:
        return [(slot, slot.request) for slot in self._slots if slot.request is not None]

    def _waiting(self) -> list[EngineRequest]:
        return [request for _, request in self._busy() if request.shortage is not None]


def _end_wait(request: EngineRequest) -> None:
    if request.shortage is not None:
        request.shortage = dataclasses.replace(request.shortage, until_s=0)
