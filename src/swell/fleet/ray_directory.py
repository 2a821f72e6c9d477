"""The directory of a fleet on Ray: an actor with a name, to which replicas announce themselves."""

import time
from collections.abc import Sequence
from typing import Any

import ray

from swell.fleet.directory import ReplicaAddress

NAME, NAMESPACE = "swell-directory", "swell"
ANNOUNCE_S = 1.0
_FORGET_S = 10.0


class Announcements:
    """Remembers who has announced itself lately. As an actor it may start anew on another node, where it hears of all
    again: what it knows is worth nothing after some seconds.
    """

    def __init__(self) -> None:
        self._heard: dict[ReplicaAddress, float] = {}

    def announce(self, address: ReplicaAddress) -> None:
        """A replica is there; to be repeated every `ANNOUNCE_S`."""
        self._heard[address] = time.monotonic()

    def leave(self, address: ReplicaAddress) -> None:
        """A replica takes no more turns."""
        self._heard.pop(address, None)

    def replicas(self) -> list[ReplicaAddress]:
        """Those of the last seconds."""
        now_s = time.monotonic()
        self._heard = {address: at_s for address, at_s in self._heard.items() if now_s - at_s < _FORGET_S}
        return list(self._heard)


class RayDirectory:
    """The actor, which is made where there is none."""

    def __init__(self) -> None:
        self.actor: Any = (
            ray.remote(Announcements)
            .options(
                name=NAME,
                namespace=NAMESPACE,
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                max_restarts=-1,
                max_task_retries=-1,
            )
            .remote()
        )

    async def replicas(self) -> Sequence[ReplicaAddress]:
        """Raises RayError while the actor can't be reached."""
        found: list[ReplicaAddress] = await self.actor.replicas.remote()
        return found

    def close(self) -> None:
        """End the actor."""
        ray.kill(self.actor)
