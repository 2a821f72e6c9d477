"""What every store of the KV cache can do; nothing above this package knows which one is used."""

import dataclasses
from abc import ABC, abstractmethod

from swell.kv.kind import StoreKind
from swell.kv.policy import GrowthPolicy, initial_grant, next_grant
from swell.llama.context import Context


@dataclasses.dataclass(frozen=True, kw_only=True)
class KvBytes:
    """Bytes of KV memory: allowed to be used, really backed, and set aside as address space."""

    granted: int
    resident: int
    reserved: int


class KvStore(ABC):
    """Owns the context and decides how many cells of each slot may be written."""

    kind: StoreKind

    def __init__(self, policy: GrowthPolicy, slots: int) -> None:
        self.policy = policy
        self.granted_cells = [initial_grant(policy)] * slots
        """Grant of each slot."""

    @property
    @abstractmethod
    def context(self) -> Context:
        """The context to decode with; ask again after every growth."""

    def ensure(self, slot: int, cells: int) -> None:
        """Raise the grant of `slot` so that it holds `cells`; does nothing when it already does.

        Call before cells are written, never after a failure. Raises KvGrowError when memory forbids it; the slot
        keeps what it has.
        """
        granted = self.granted_cells[slot]
        if cells > granted:
            target = next_grant(granted, cells, self.policy)
            self._grow(slot, target)
            self.granted_cells[slot] = target

    @abstractmethod
    def _grow(self, slot: int, cells: int) -> None:
        """Make room for `cells` in `slot`, or raise KvGrowError and change nothing."""

    @abstractmethod
    def measure(self) -> KvBytes:
        """KV memory now. Safe to call from any thread while a batch is computed."""

    def close(self) -> None:
        """Free the context and all memory of the cache."""
        self.context.close()
