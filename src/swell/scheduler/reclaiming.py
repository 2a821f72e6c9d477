"""Reclaiming: memory that a busy model can't get is taken from models that don't need it."""

import asyncio
import dataclasses
import logging
import math
import operator
from collections.abc import Collection
from enum import Enum

from swell.metrics.events import MemoryReclaimed, UnloadCause
from swell.metrics.observer import Metrics
from swell.protocol.messages import CacheCount, NeedMemory, ShrinkLevel
from swell.scheduler.accounts import Accounts
from swell.scheduler.queue import RequestQueue
from swell.scheduler.residencies import Residencies
from swell.scheduler.residency import Residency, State

log = logging.getLogger(__name__)


class Source(Enum):
    """Whose memory a model in need is given, from the cheapest to the dearest."""

    UNUSED = "unused memory of idle models"
    IDLE_PREFIXES = "cached conversations of idle models"
    BUSY_PREFIXES = "cached conversations of busy models"
    IDLE_MODELS = "idle models as a whole"
    WAITING = "cells of models that wait themselves"


@dataclasses.dataclass(eq=False)
class MemoryRequest:
    """A generation of `needing` lacks `missing_bytes` of `device` or, where that is "", of host memory or the budget.

    It can go on when `target_bytes` are spare there.
    """

    needing: Residency
    device: str
    missing_bytes: int
    target_bytes: int


class MemoryReclaimer:
    """Takes memory from other models, the cheapest first, for one that needs it."""

    def __init__(self, accounts: Accounts, residencies: Residencies, queue: RequestQueue, metrics: Metrics) -> None:
        self._accounts = accounts
        self._residencies = residencies
        self._queue = queue
        self._metrics = metrics
        self._requests: list[MemoryRequest] = []
        self._one_at_a_time = asyncio.Lock()

    async def make_room(self, needing: Residency, need: NeedMemory) -> None:
        """Returns when the memory that `need` lacks is there, or there is nobody left to take it from. For memory of a
        device those are asked that have some of it.

        Models that are busy are waited for, unless they wait for memory themselves. The caller limits the time.
        """
        missing_bytes = await _missing_there(needing, need)
        target_bytes = self._spare_bytes(need.device) + missing_bytes
        request = MemoryRequest(needing, need.device, missing_bytes, target_bytes)
        needing.waiting_for_memory += 1
        self._requests.append(request)
        try:
            while True:
                changed = self._queue.changed
                async with self._one_at_a_time:
                    if (source := await self._take(request)) is not None:
                        self._metrics.report(MemoryReclaimed(model=needing.model.name, source=source.value))
                        return
                if not any(_may_finish(other) for other in self._others(request)):
                    log.info("nobody has the %d bytes that %s lacks", request.missing_bytes, needing.model.name)
                    return
                await changed.wait()
        finally:
            needing.waiting_for_memory -= 1
            self._requests.remove(request)

    async def _take(self, request: MemoryRequest) -> Source | None:
        """Take from one source after the other until the memory is there; returns the last one, None if it isn't there.

        Nothing is taken if all sources together can't be enough, unless a runner gives less than it had said.
        """
        gifts = await self._gifts(request)
        for source in Source:
            if self._missing_bytes(request) > sum(gifts.values()):
                return None
            if gifts.pop(source) > 0:
                await self._take_from(source, request)
            if self._missing_bytes(request) <= 0:
                return source
        return None

    async def _gifts(self, request: MemoryRequest) -> dict[Source, int]:
        """What each source gives at most, beyond those before it."""
        if request.device:
            return await self._device_gifts(request)
        idle = [other for other in self._others(request) if other.is_idle]
        busy = [other for other in self._others(request) if not other.is_idle]
        entries = [self._accounts.entry(other.plan.books) for other in idle]
        waiting = [self._accounts.entry(other.plan.books) for other in busy if other.waiting_for_memory]
        unused_bytes = sum(entry.unused_bytes for entry in entries)
        # of the budget idle models have nothing but their caches, wherever those are
        may_unload = self._accounts.budget_allows(request.missing_bytes)
        counted = operator.attrgetter("granted_bytes" if may_unload else "cache_bytes")
        return {
            Source.UNUSED: unused_bytes,
            Source.IDLE_PREFIXES: sum(map(counted, entries)) - unused_bytes,
            Source.BUSY_PREFIXES: await _reclaimable_bytes(busy),
            Source.IDLE_MODELS: sum(other.plan.expected.total_bytes for other in idle) if may_unload else 0,
            Source.WAITING: sum(map(counted, waiting)),
        }

    async def _device_gifts(self, request: MemoryRequest) -> dict[Source, int]:
        """The same of a device, whose memory is all in use: there nothing is granted that isn't there."""
        caches = await _caches(self._others(request), request.device)
        idle = [other for other in caches if other.is_idle]
        waiting_bytes = sum(size for other, size in caches.items() if other.waiting_for_memory)
        idle_bytes = sum(caches[other] for other in idle)
        held_bytes = sum(self._accounts.device_bytes(other.plan.books, request.device) for other in idle)
        return {
            Source.UNUSED: 0,
            Source.IDLE_PREFIXES: idle_bytes,
            Source.BUSY_PREFIXES: sum(caches.values()) - idle_bytes - waiting_bytes,
            Source.IDLE_MODELS: max(0, held_bytes - idle_bytes),
            Source.WAITING: waiting_bytes,
        }

    async def _take_from(self, source: Source, request: MemoryRequest) -> None:
        match source:
            case Source.UNUSED:
                await self._shrink([other for other in self._others(request) if other.is_idle], ShrinkLevel.UNSTORED)
            case Source.IDLE_PREFIXES:
                await self._shrink([other for other in self._others(request) if other.is_idle], ShrinkLevel.PREFIXES)
            case Source.BUSY_PREFIXES:
                await self._shrink(
                    [other for other in self._others(request) if not other.is_idle], ShrinkLevel.PREFIXES
                )
            case Source.IDLE_MODELS:
                await self._unload_idle(request)
            case Source.WAITING:
                await self._take_from_waiting(request)

    async def _unload_idle(self, request: MemoryRequest) -> None:
        for other in sorted(self._others(request), key=lambda other: other.last_use):
            if other.is_idle and self._missing_bytes(request) > 0:
                log.info("unloading %s: %s needs its memory", other.model.name, request.needing.model.name)
                await asyncio.shield(other.stop(UnloadCause.EVICTED))
                while other in self._residencies.leaving:  # until its entry in the books is cleared, too
                    await asyncio.sleep(0)

    async def _take_from_waiting(self, request: MemoryRequest) -> None:
        """Of models that wait for each other's memory one must go on; the others need theirs back afterwards."""
        for other in self._others(request):
            if other.waiting_for_memory and self._missing_bytes(request) > 0:
                before_bytes = self._spare_bytes(request.device)
                await other.shrink(ShrinkLevel.WAITING)
                taken_bytes = max(0, self._spare_bytes(request.device) - before_bytes)
                for its in self._requests:
                    if its.needing is other and its.device == request.device:
                        its.missing_bytes += taken_bytes
                        its.target_bytes += taken_bytes

    def _missing_bytes(self, request: MemoryRequest) -> int:
        return request.target_bytes - self._spare_bytes(request.device)

    def _spare_bytes(self, device: str) -> int:
        """What caches could be promised. Of a device only differences mean something: the server doesn't know what it
        has, but what was taken of it.
        """
        return -self._accounts.all_device_bytes(device) if device else self._accounts.spare_bytes()

    async def _shrink(self, residencies: Collection[Residency], level: ShrinkLevel) -> None:
        async with asyncio.TaskGroup() as group:
            for residency in residencies:
                group.create_task(residency.shrink(level))

    def _others(self, request: MemoryRequest) -> list[Residency]:
        """Those that may have some of what is missing."""
        device = request.device
        others = [other for other in self._residencies if other is not request.needing]
        if not device:
            return others
        return [one for one in others if self._accounts.device_bytes(one.plan.books, device) or _is_loading(one)]


async def _reclaimable_bytes(busy: Collection[Residency]) -> int:
    """What the idle slots of busy models have; a runner that doesn't answer counts as 0."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(residency.describe()) for residency in busy]
    rows = [task.result() for task in tasks]
    return sum(row.stats.kv_reclaimable_bytes for row in rows if row is not None and row.stats is not None)


async def _missing_there(needing: Residency, need: NeedMemory) -> int:
    """What of the missing memory must be on the device that has none: rather too much, where a slot grows first."""
    row = await needing.describe(CacheCount.BOOKS) if need.device else None
    if row is None or row.stats is None or not row.stats.kv_granted_bytes:
        return need.missing_bytes
    on_device = sum(use.kv_bytes for use in row.stats.devices if use.name == need.device)
    return math.ceil(need.missing_bytes * min(1.0, on_device / row.stats.kv_granted_bytes))


async def _caches(residencies: Collection[Residency], device: str) -> dict[Residency, int]:
    """What these can give of the part of their caches that lies on a device: of those that wait for memory all, of
    others what no request needs. Who doesn't answer has none.
    """
    async with asyncio.TaskGroup() as group:
        tasks = {one: group.create_task(one.describe()) for one in residencies}
    found = dict.fromkeys(residencies, 0)
    for residency, task in tasks.items():
        if (row := task.result()) is not None and row.stats is not None:
            on_device = sum(use.kv_bytes for use in row.stats.devices if use.name == device)
            is_waiting = residency.waiting_for_memory > 0
            found[residency] = on_device if is_waiting else min(on_device, row.stats.kv_reclaimable_bytes)
    return found


def _is_loading(residency: Residency) -> bool:
    return residency.state is State.LOADING


def _may_finish(residency: Residency) -> bool:
    """Whether it may free memory by itself: it is being loaded, or some request in it isn't waiting for memory."""
    return _is_loading(residency) or residency.users > residency.waiting_for_memory
