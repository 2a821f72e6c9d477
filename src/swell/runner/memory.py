"""How the slots of an engine get memory, and how it is taken back from them. Pure but for the store it is given."""

import dataclasses
import itertools
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Protocol

from swell.errors import KvGrowError
from swell.protocol.messages import ShrinkLevel
from swell.runner.counters import Counters
from swell.runner.slots import Slot

log = logging.getLogger(__name__)


class CellStore(Protocol):
    """What is asked of the store of the KV cache here. `KvStore` in `swell.kv.store` does it with llama.cpp."""

    def ensure(self, slot: int, cells: int) -> None:
        """Raise the grant of `slot` so that it holds `cells`. Raises KvGrowError when memory forbids it."""

    def rewind(self, slot: int, keep: int) -> int:
        """Forget the cells of `slot` after the first `keep`; returns how many are left."""

    def compact(self, needed: Sequence[int]) -> None:
        """Give back the memory of all cells beyond what is stored and `needed`, cells per slot."""

    def drop_checkpoints(self) -> None:
        """Give back the memory of all checkpoints."""

    def reclaimable_bytes(self, needed: Sequence[int]) -> int:
        """What is granted beyond `needed`, cells per slot."""


class SlotMemory:
    """Grants cells to slots. Memory that one lacks is taken from those that are idle."""

    def __init__(
        self,
        slots: Sequence[Slot],
        store: CellStore,
        counters: Counters,
        on_loss: Callable[[Slot], object] | None = None,
    ) -> None:
        """`on_loss` is called with a slot before what it has cached is given up."""
        self._on_loss = on_loss
        self._slots = slots
        self._store = store
        self._counters = counters

    def grant(self, slot: Slot, cells: int) -> None:
        """Make sure that `slot` may hold `cells`. If need be, idle slots lose what they have cached, unless even all of
        that would not be enough.

        Raises KvGrowError; its `free_bytes` count what idle slots have.
        """
        reclaims = self._reclaims()
        while True:
            try:
                return self._store.ensure(slot.index, cells)
            except KvGrowError as error:
                if error.missing_bytes > (own_bytes := self.reclaimable_bytes()):
                    raise dataclasses.replace(error, free_bytes=error.free_bytes + own_bytes) from error
                if (reclaimed := next(reclaims, None)) is None:
                    raise
                log.info("%s; reclaimed %s", error, reclaimed)

    def give_up(self, slot: Slot) -> None:
        """Forget all cells of `slot` and give spare memory back. Its tokens stay known, and may be computed again."""
        self._store.rewind(slot.index, 0)
        self.compact()

    def reclaimable_bytes(self, also: Collection[Slot] = ()) -> int:
        """What could be had if idle slots, and those in `also`, kept nothing."""
        return self._store.reclaimable_bytes(
            [0 if slot.request is None or slot in also else self._kept(slot) for slot in self._slots]
        )

    def shrink(self, level: ShrinkLevel) -> None:
        """Give back for other models what no running request needs."""
        if level is ShrinkLevel.WAITING:
            for slot in self._slots:
                if slot.shortage:
                    self._store.rewind(slot.index, 0)
        for reclaimed in itertools.islice(self._reclaims(), 1 if level is ShrinkLevel.UNSTORED else None):
            log.debug("gave back %s", reclaimed)

    def compact(self) -> None:
        """Give back all memory beyond what is stored, or known and still to be computed, if it can be computed now."""
        self._store.compact([self._kept(slot) for slot in self._slots])

    def _kept(self, slot: Slot) -> int:
        """Cells that a slot uses now: those of its stored tokens, and of known ones unless it waits for memory."""
        return slot.stored if slot.shortage else max(slot.stored, len(slot.tokens))

    def _reclaims(self) -> Iterator[str]:
        """Take memory back, a little more at each step: first what nobody would miss, then the cached prefixes of idle
        slots, the one unused longest first. Yields what it was, for the log.
        """
        self._store.drop_checkpoints()
        self.compact()
        yield "checkpoints, and what goes beyond the stored tokens"
        idle = [slot for slot in self._slots if slot.request is None and slot.stored]
        for slot in sorted(idle, key=lambda slot: slot.last_used_ns):
            tokens = slot.stored
            if self._on_loss is not None:
                self._on_loss(slot)
            slot.tokens.clear()
            self.give_up(slot)
            self._counters.prefix_reclaimed()
            yield f"the {tokens} cached tokens of slot {slot.index}"
