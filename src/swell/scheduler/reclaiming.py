"""Force-evict-idle: what a busy model can't get is taken from those that don't need it."""

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Collection
from enum import Enum

from swell.protocol.messages import NeedMemory, ShrinkLevel
from swell.scheduler.accounts import Accounts
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
    """A generation of `needy` lacks `missing_bytes`: it can go on when `target_bytes` are spare."""

    needy: Residency
    missing_bytes: int
    target_bytes: int


class MemoryReclaimer:
    """Makes idle models give way to one that needs memory.

    `residencies` tells all there are; `change` returns after the next change among them.
    """

    def __init__(
        self,
        accounts: Accounts,
        residencies: Callable[[], Collection[Residency]],
        change: Callable[[], "asyncio.Event"],
    ) -> None:
        self._accounts = accounts
        self._residencies = residencies
        self._change = change
        self.taken = Counter[Source]()
        """Where models in need were given what they lacked, and how often."""
        self._pleas: list[MemoryRequest] = []
        self._one_at_a_time = asyncio.Lock()

    async def make_room(self, needy: Residency, need: NeedMemory) -> None:
        """Returns when the memory that `need` lacks is there, or there is nobody left to take it from.

        Models that are busy are waited for, unless they wait for memory themselves. The caller limits the time.
        """
        plea = MemoryRequest(needy, need.missing_bytes, self._accounts.spare_bytes() + need.missing_bytes)
        needy.starving += 1
        self._pleas.append(plea)
        try:
            while True:
                change = self._change()
                async with self._one_at_a_time:
                    if (source := await self._take(plea)) is not None:
                        self.taken[source] += 1
                        return
                if not any(_may_finish(other) for other in self._others(plea)):
                    log.info("nobody has the %d bytes that %s lacks", plea.missing_bytes, needy.model.name)
                    return
                await change.wait()
        finally:
            needy.starving -= 1
            self._pleas.remove(plea)

    async def _take(self, plea: MemoryRequest) -> Source | None:
        """Take from one source after the other, as long as what is left may be enough; where it was, None if nowhere.

        So nothing is taken in vain, but for what a runner gave less of than it had said.
        """
        gifts = await self._gifts(plea)
        for source in Source:
            if self._missing_bytes(plea) > sum(gifts.values()):
                return None
            if gifts.pop(source) > 0:
                await self._take_from(source, plea)
            if self._missing_bytes(plea) <= 0:
                return source
        return None

    async def _gifts(self, plea: MemoryRequest) -> dict[Source, int]:
        """What each source gives at most, beyond those before it."""
        idle = [other for other in self._others(plea) if other.is_idle]
        busy = [other for other in self._others(plea) if not other.is_idle]
        entries = [self._accounts.entry(other.stay.share) for other in idle]
        waiting = [self._accounts.entry(other.stay.share) for other in busy if other.starving]
        unused_bytes = sum(entry.unused_bytes for entry in entries)
        # of the budget idle models have nothing but their caches
        may_unload = self._accounts.budget_allows(plea.missing_bytes)
        return {
            Source.UNUSED: unused_bytes,
            Source.IDLE_PREFIXES: sum(entry.granted_bytes for entry in entries) - unused_bytes,
            Source.BUSY_PREFIXES: sum(await asyncio.gather(*map(_reclaimable_bytes, busy))),
            Source.IDLE_MODELS: sum(other.stay.footprint.total_bytes for other in idle) if may_unload else 0,
            Source.WAITING: sum(entry.granted_bytes for entry in waiting),
        }

    async def _take_from(self, source: Source, plea: MemoryRequest) -> None:
        match source:
            case Source.UNUSED:
                await self._shrink([other for other in self._others(plea) if other.is_idle], ShrinkLevel.UNSTORED)
            case Source.IDLE_PREFIXES:
                await self._shrink([other for other in self._others(plea) if other.is_idle], ShrinkLevel.PREFIXES)
            case Source.BUSY_PREFIXES:
                await self._shrink([other for other in self._others(plea) if not other.is_idle], ShrinkLevel.PREFIXES)
            case Source.IDLE_MODELS:
                await self._unload_idle(plea)
            case Source.WAITING:
                await self._take_from_waiting(plea)

    async def _unload_idle(self, plea: MemoryRequest) -> None:
        for other in sorted(self._others(plea), key=lambda other: other.last_use):
            if other.is_idle and self._missing_bytes(plea) > 0:
                log.info("unloading %s: %s needs its memory", other.model.name, plea.needy.model.name)
                await asyncio.shield(other.stop())

    async def _take_from_waiting(self, plea: MemoryRequest) -> None:
        """Of models that wait for each other's memory one must go on; the others need theirs back afterwards."""
        for other in self._others(plea):
            if other.starving and self._missing_bytes(plea) > 0:
                before_bytes = self._accounts.spare_bytes()
                await other.shrink(ShrinkLevel.WAITING)
                taken_bytes = max(0, self._accounts.spare_bytes() - before_bytes)
                for its in self._pleas:
                    if its.needy is other:
                        its.missing_bytes += taken_bytes
                        its.target_bytes += taken_bytes

    def _missing_bytes(self, plea: MemoryRequest) -> int:
        return plea.target_bytes - self._accounts.spare_bytes()

    async def _shrink(self, residencies: Collection[Residency], level: ShrinkLevel) -> None:
        await asyncio.gather(*(residency.shrink(level) for residency in residencies))

    def _others(self, plea: MemoryRequest) -> list[Residency]:
        return [other for other in self._residencies() if other is not plea.needy]


async def _reclaimable_bytes(busy: Residency) -> int:
    """What the idle slots of a busy model have; 0 where its runner doesn't say."""
    row = await busy.describe()
    return row.stats.kv_reclaimable_bytes if row is not None and row.stats is not None else 0


def _may_finish(residency: Residency) -> bool:
    """Whether it is worth waiting for: some request in it has what it needs, or it is about to be loaded."""
    return residency.state is State.LOADING or residency.users > residency.starving
