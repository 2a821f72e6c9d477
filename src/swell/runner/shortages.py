"""What becomes of generations whose slot is refused memory: they wait for that of other models, then for each other."""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Sequence

from swell.errors import KvGrowError, SwellError
from swell.kv.base import KvStore
from swell.protocol.messages import NeedMemory, Totals
from swell.runner.memory import SlotMemory
from swell.runner.slots import EngineRequest, MemoryWait, Shortage, Slot

log = logging.getLogger(__name__)


class Shortages:
    """Grants slots what the next batch needs, or lets them wait while the others go on.

    First the memory of other models is asked for. If there is none, the youngest generation is paused: it gives its
    cells up, and computes them again when another one has ended.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        store: KvStore,
        memory: SlotMemory,
        totals: Totals,
        *,
        tell: Callable[[NeedMemory], None],
        fail: Callable[[Slot, SwellError], None],
        wait_s: float,
    ) -> None:
        """`fail` ends a generation for which there is no way. Others' memory is waited for up to `wait_s`."""
        self._slots = slots
        self._store = store
        self._memory = memory
        self._totals = totals
        self._tell = tell
        self._fail = fail
        self._wait_s = wait_s

    def grant(self, slot: Slot, cells: int) -> None:
        """Grant `cells` to a busy slot, or what it waited for, if it needn't wait on."""
        generation = slot.generation
        if generation is None:
            return
        shortage = generation.shortage
        if shortage is not None and not shortage.is_over:
            return
        cells = cells if shortage is None else shortage.cells
        try:
            self._memory.grant(slot, cells)
        except KvGrowError as error:
            if shortage is None:
                self.lack(slot, cells, error)
            else:
                self._make_room(slot, generation, cells, error)
        else:
            generation.shortage = None

    def lack(self, slot: Slot, cells: int, error: KvGrowError) -> None:
        """`slot` was refused memory for the first time."""
        generation = slot.generation
        if generation is None:
            return
        if self._wait_s == 0:
            self._make_room(slot, generation, cells, error)
            return
        log.info("%s; asking for what other models have", error)
        generation.shortage = Shortage(cells, time.monotonic() + self._wait_s, MemoryWait.OTHERS)
        self._tell(NeedMemory(id=generation.id, missing_bytes=max(0, error.missing_bytes)))

    def end(self, generation_id: int) -> None:
        """Memory was offered: the next step tries again. After a cancel there is nothing to end."""
        for _, generation in self._waiting():
            if generation.id == generation_id:
                _end(generation)

    def retry(self) -> None:
        """A generation has ended: the eldest of those that are paused tries again."""
        paused = [one for _, one in self._waiting() if one.shortage and one.shortage.wait is MemoryWait.PAUSE]
        if paused:
            _end(min(paused, key=lambda generation: generation.started_ns))

    def next_end_s(self) -> float:
        """When the next generation may wait no longer, by `time.monotonic`."""
        return min(generation.shortage.until_s for _, generation in self._waiting() if generation.shortage)

    def _make_room(self, slot: Slot, generation: EngineRequest, cells: int, error: KvGrowError) -> None:
        """Pause younger generations until `cells` are there, if they have enough; else this one for its elders."""
        others = [pair for pair in self._busy() if pair[0] is not slot and pair[0].cells.granted]
        younger = [pair for pair in others if pair[1].started_ns > generation.started_ns]
        more_bytes = self._memory.reclaimable_bytes([slot for slot, _ in younger]) - self._memory.reclaimable_bytes()
        if error.missing_bytes <= more_bytes:
            for victim in sorted(younger, key=lambda pair: pair[1].started_ns, reverse=True):
                self._pause(*victim)
                try:
                    self._memory.grant(slot, cells)
                except KvGrowError as again:
                    error = again
                else:
                    generation.shortage = None
                    return
        if len(younger) < len(others):
            self._pause(slot, generation)
        else:
            self._fail(slot, error)

    def _pause(self, slot: Slot, generation: EngineRequest) -> None:
        log.warning("generation %d is paused: there is no memory for its %d cells", generation.id, len(slot.tokens))
        self._totals.pauses += generation.shortage is None or generation.shortage.wait is not MemoryWait.PAUSE
        self._store.rewind(slot.index, 0)
        generation.shortage = Shortage(len(slot.tokens), math.inf, MemoryWait.PAUSE)
        self._memory.compact()

    def _busy(self) -> list[tuple[Slot, EngineRequest]]:
        return [(slot, slot.generation) for slot in self._slots if slot.generation is not None]

    def _waiting(self) -> list[tuple[Slot, EngineRequest]]:
        return [pair for pair in self._busy() if pair[1].shortage is not None]


def _end(generation: EngineRequest) -> None:
    if generation.shortage is not None:
        generation.shortage = dataclasses.replace(generation.shortage, until_s=0)
