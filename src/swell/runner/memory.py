"""How the slots of an engine come to memory, and how it is taken back from them."""

import dataclasses
import itertools
import logging
from collections.abc import Collection, Iterator, Sequence

from swell.errors import KvGrowError
from swell.kv.base import KvStore
from swell.protocol.messages import ShrinkLevel, Totals
from swell.runner.slots import Slot

log = logging.getLogger(__name__)


class SlotMemory:
    """Grants cells to slots. Memory that one lacks is taken from those that are idle."""

    def __init__(self, slots: Sequence[Slot], store: KvStore, totals: Totals) -> None:
        self._slots = slots
        self._store = store
        self._totals = totals

    def grant(self, slot: Slot, cells: int) -> None:
        """Make sure that `slot` may hold `cells`, at the cost of idle slots if need be and if they have enough.

        Raises KvGrowError, for which what they have counts as free.
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

    def reclaimable_bytes(self, also: Collection[Slot] = ()) -> int:
        """What could be had if idle slots, and `also` those, kept nothing."""
        return self._store.reclaimable_bytes(
            [0 if slot.generation is None or slot in also else self._kept(slot) for slot in self._slots]
        )

    def shrink(self, level: ShrinkLevel) -> None:
        """Give back for other models what no running generation needs."""
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
        """Cells that a busy slot has use for now."""
        return slot.stored if slot.shortage else max(slot.stored, len(slot.tokens))

    def _reclaims(self) -> Iterator[str]:
        """Ways to get memory back, one at each step: first what nobody would miss, then prefixes, oldest first."""
        self.compact()
        yield "what goes beyond the stored tokens"
        idle = [slot for slot in self._slots if slot.generation is None and slot.stored]
        for slot in sorted(idle, key=lambda slot: slot.last_used_ns):
            tokens = slot.stored
            self._store.rewind(slot.index, 0)
            slot.tokens.clear()
            self.compact()
            self._totals.reclaims += 1
            yield f"the {tokens} cached tokens of slot {slot.index}"
