"""Force-evict-idle: what a busy model can't get is taken from those that don't need it."""

import asyncio
import logging
from collections.abc import Callable, Collection

from swell.protocol.messages import NeedMemory, ShrinkLevel
from swell.server.residency import Residency, State
from swell.server.scheduling.accounts import Accounts

log = logging.getLogger(__name__)


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
        self._one_at_a_time = asyncio.Lock()

    async def make_room(self, needy: Residency, need: NeedMemory) -> None:
        """Returns when the memory that `need` lacks is there, or there is nobody left to take it from.

        Models that are busy are waited for, unless they wait for memory themselves. The caller limits the time.
        """
        needy.starving += 1
        try:
            missing_bytes = need.needed_bytes - need.free_bytes
            target_bytes = self._accounts.spare_bytes() + missing_bytes
            while True:
                change = self._change()
                async with self._one_at_a_time:
                    if await self._take(needy, target_bytes, missing_bytes):
                        return
                if not any(_may_finish(other) for other in self._others(needy)):
                    log.info("nobody has the %d bytes that %s lacks", missing_bytes, needy.model.name)
                    return
                await change.wait()
        finally:
            needy.starving -= 1

    async def _take(self, needy: Residency, target_bytes: int, missing_bytes: int) -> bool:
        """Take what there is, the dearest last; whether it is enough."""
        for level in ShrinkLevel:
            await self._shrink([other for other in self._others(needy) if other.is_idle], level)
            if self._accounts.spare_bytes() >= target_bytes:
                return True
        await self._shrink(self._others(needy), ShrinkLevel.PREFIXES)  # idle slots of busy models
        if self._accounts.spare_bytes() >= target_bytes:
            return True
        if not self._accounts.budget_allows(missing_bytes):
            return False  # unloading gives back what the caches of idle models had, and that is nothing by now
        for other in sorted(self._others(needy), key=lambda other: other.last_use):
            if other.is_idle:
                log.info("unloading %s: %s needs its memory", other.model.name, needy.model.name)
                await asyncio.shield(other.stop())
                if self._accounts.spare_bytes() >= target_bytes:
                    return True
        return False

    async def _shrink(self, residencies: Collection[Residency], level: ShrinkLevel) -> None:
        await asyncio.gather(*(residency.shrink(level) for residency in residencies))

    def _others(self, needy: Residency) -> list[Residency]:
        return [other for other in self._residencies() if other is not needy]


def _may_finish(residency: Residency) -> bool:
    """Whether it is worth waiting for: some request in it has what it needs, or it is about to be loaded."""
    return residency.state is State.LOADING or residency.users > residency.starving
