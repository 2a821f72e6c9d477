"""Growths and shrinks, noticed where they may have happened, and told to the server."""

from collections.abc import Callable, Sequence
from typing import Protocol

from swell.cache import StoreKind
from swell.metrics.events import ShrinkCause
from swell.protocol.messages import GrantChanged
from swell.runner.counters import Counters
from swell.runner.slots import Slot


class GrantStore(Protocol):
    """What is asked of the store here."""

    kind: StoreKind

    @property
    def changes(self) -> int:
        """Greater than before if grants may have changed since."""

    @property
    def booked_bytes(self) -> int:
        """What the cache may use."""


class Grants:
    """The grants of all slots, as they were last seen. Where nothing has changed, a look costs 0.1 µs."""

    def __init__(
        self,
        slots: Sequence[Slot],
        store: GrantStore,
        counters: Counters,
        reply: Callable[[GrantChanged], None],
    ) -> None:
        self._slots = slots
        self._store = store
        self._counters = counters
        self._reply = reply
        self._changes = store.changes
        self._granted = [slot.cells.granted for slot in slots]
        self._changing_ns = [slot.cells.changing_ns for slot in slots]

    def tell(self, cause: ShrinkCause) -> None:
        """Tell the server of the grants that were changed since the last time; `cause` is why some were lowered."""
        if self._store.changes == self._changes:
            return
        self._changes = self._store.changes
        for slot, before in zip(self._slots, self._granted, strict=True):
            stall_ns = slot.cells.changing_ns - self._changing_ns[slot.index]
            self._changing_ns[slot.index] = slot.cells.changing_ns
            if (granted := slot.cells.granted) == before:
                continue
            self._granted[slot.index] = granted
            if granted > before:
                self._counters.grant_raised(stall_ns)
            else:
                self._counters.grant_lowered(stall_ns)
            self._reply(
                GrantChanged(
                    generation=slot.request.id if slot.request is not None else 0,
                    slot=slot.index,
                    from_tokens=before,
                    to_tokens=granted,
                    granted_bytes=self._store.booked_bytes,
                    cause=cause,
                    store=self._store.kind,
                    stall_ns=stall_ns,
                )
            )
