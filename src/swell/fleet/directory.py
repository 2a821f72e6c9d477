"""Where replicas are."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class ReplicaAddress(NamedTuple):
    """A replica, the node that it is on, where it listens, and what it wants to be told by who connects."""

    name: str
    node: str
    host: str
    port: int
    secret: str


class Directory(Protocol):
    """Knows all replicas that are thought to run."""

    async def replicas(self) -> Sequence[ReplicaAddress]:
        """Those of this moment. One that has died may be among them for a while."""
