"""All replicas that a front can reach."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from swell.errors import NoReplicaError
from swell.fleet.directory import Directory, ReplicaAddress
from swell.fleet.member import Member
from swell.fleet.routing import RoutedTurn, route, spread
from swell.metrics.events import ServerEvent

log = logging.getLogger(__name__)

LOOK_S = 0.5
WAIT_S = 30.0
"""How long a turn waits for a replica where there is none: about as long as one takes to start."""


class Membership:
    """Follows the directory, from `follow` on. Used from the event loop only."""

    def __init__(self, directory: Directory, silence_s: float, on_event: Callable[[ServerEvent], None]) -> None:
        """A replica that has said nothing for `silence_s` is lost. `on_event` is told of what happens on replicas."""
        self._directory = directory
        self._on_event = on_event
        self._silence_s = silence_s
        self._members: dict[ReplicaAddress, Member] = {}
        self._runs: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def follow(self) -> None:
        """Begin to; nothing happens if it has begun."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow(), name="follow the directory")

    def members(self) -> list[Member]:
        """Those that have reported and weren't lost since."""
        return [member for member in self._members.values() if member.report is not None]

    async def choose(self, turn: RoutedTurn) -> Member:
        """Where a turn goes. Raises NoReplicaError if nobody can take it for a while."""
        self.follow()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                while (found := self.choose_now(turn)) is None:
                    await self.change()
                return found
        raise NoReplicaError

    def choose_now(self, turn: RoutedTurn) -> Member | None:
        """Where a turn goes; None if nobody can take it."""
        members = {member.address.name: member for member in self._members.values()}
        found = route(turn, [view for member in members.values() if (view := member.view()) is not None])
        return None if found is None else members[found.replica]

    def spread(self, model: str, load_bytes: int) -> Member | None:
        """Who should load a model, too."""
        members = {member.address.name: member for member in self.members()}
        name = spread(model, load_bytes, [view for member in members.values() if (view := member.view()) is not None])
        return None if name is None else members[name]

    async def change(self) -> None:
        """Returns when a replica has come, gone or reported, or a lease has ended."""
        await self._changed.wait()

    def notify(self) -> None:
        """Something has changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def close(self) -> None:
        """Leave all replicas."""
        tasks = [*self._runs, *filter(None, [self._following])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            try:
                for address in await self._directory.replicas():
                    if address not in self._members:
                        self._begin(address)
            except Exception as error:  # the replicas that are known can do without it
                log.warning("the directory of replicas can't be asked: %s", error)
            await asyncio.sleep(LOOK_S)

    def _begin(self, address: ReplicaAddress) -> None:
        member = self._members[address] = Member(address, self.notify, self._on_event)
        run = asyncio.create_task(self._run(member), name=f"follow {address.name}")
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)

    async def _run(self, member: Member) -> None:
        try:
            await member.run(self._silence_s)
        finally:
            del self._members[member.address]
            self.notify()
