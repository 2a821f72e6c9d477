"""Force-evict-idle: what a busy model can't get is taken from those that don't need it."""

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Collection
from enum import Enum

from swell.protocol.messages import NeedMemory, ShrinkLevel
from swell.server.residency import Residency, State
from swell.server.scheduling.accounts import Accounts

log = logging.getLogger(__name__)


class Source(Enum):
    """Whose memory a model in need is given, from the cheapest to the dearest."""

    UNUSED = "unused memory of idle models"
    IDLE_PREFIXES = "cached conversations of idle models"
    BUSY_PREFIXES = "cached conversations of busy models"
    IDLE_MODELS = "idle models as a whole"
    WAITING = "cells of models that wait themselves"


@dataclasses.dataclass(eq=False)
class _Plea:
    """A generation of `needy` lacks `missing_bytes`: it can go on when `target_bytes` are spare."""

    needy: Residency
    missing_bytes: int
    target_bytes: int


class Relief:
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
        self._pleas: list[_Plea] = []
        self._one_at_a_time = asyncio.Lock()

    async def make_room(self, needy: Residency, need: NeedMemory) -> None:
        """Returns when the memory that `need` lacks is there, or there is nobody left to take it from.

        Models that are busy are waited for, unless they wait for memory themselves. The caller limits the time.
        """
        missing_bytes = need.needed_bytes - need.free_bytes
        plea = _Plea(needy, missing_bytes, self._accounts.spare_bytes() + missing_bytes)
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

    async def _take(self, plea: _Plea) -> Source | None:
        """Take what there is, the dearest last; where it was enough, None if it nowhere was."""
        for level, source in ((ShrinkLevel.UNSTORED, Source.UNUSED), (ShrinkLevel.PREFIXES, Source.IDLE_PREFIXES)):
            await self._shrink([other for other in self._others(plea) if other.is_idle], level)
            if self._is_met(plea):
                return source
        await self._shrink(self._others(plea), ShrinkLevel.PREFIXES)  # idle slots of busy models
        if self._is_met(plea):
            return Source.BUSY_PREFIXES
        if await self._unload_idle(plea):
            return Source.IDLE_MODELS
        return Source.WAITING if await self._take_from_waiting(plea) else None

    async def _unload_idle(self, plea: _Plea) -> bool:
        if not self._accounts.budget_allows(plea.missing_bytes):
            return False  # the caches of idle models have nothing any more, and only those are in the budget
        for other in sorted(self._others(plea), key=lambda other: other.last_use):
            if other.is_idle:
                log.info("unloading %s: %s needs its memory", other.model.name, plea.needy.model.name)
                await asyncio.shield(other.stop())
                if self._is_met(plea):
                    return True
        return False

    async def _take_from_waiting(self, plea: _Plea) -> bool:
        """Of models that wait for each other's memory one must go on; the others need theirs back afterwards."""
        for other in self._others(plea):
            if other.starving:
                before_bytes = self._accounts.spare_bytes()
                await other.shrink(ShrinkLevel.WAITING)
                taken_bytes = max(0, self._accounts.spare_bytes() - before_bytes)
                for its in self._pleas:
                    if its.needy is other:
                        its.missing_bytes += taken_bytes
                        its.target_bytes += taken_bytes
                if self._is_met(plea):
                    return True
        return False

    def _is_met(self, plea: _Plea) -> bool:
        return self._accounts.spare_bytes() >= plea.target_bytes

    async def _shrink(self, residencies: Collection[Residency], level: ShrinkLevel) -> None:
        await asyncio.gather(*(residency.shrink(level) for residency in residencies))

    def _others(self, plea: _Plea) -> list[Residency]:
        return [other for other in self._residencies() if other is not plea.needy]


def _may_finish(residency: Residency) -> bool:
    """Whether it is worth waiting for: some request in it has what it needs, or it is about to be loaded."""
    return residency.state is State.LOADING or residency.users > residency.starving
