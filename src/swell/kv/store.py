"""What every store of the KV cache can do; nothing above this package knows which one is used."""

import dataclasses
import logging
import mmap
from abc import ABC, abstractmethod
from collections.abc import Sequence

from swell.cache import StoreKind
from swell.errors import KvGrowError, StateError
from swell.kv.admission import Admission
from swell.kv.cells import SlotCells
from swell.kv.policy import GrowthPolicy, initial_grant, least_grant, next_grant, settled_grant
from swell.llama.context import Context

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KvBytes:
    """Bytes of KV memory: allowed to be used, really backed (in all and per slot), and set aside as address space."""

    granted: int
    resident: int
    reserved: int
    slots_resident: tuple[int, ...]


class KvStore(ABC):
    """Owns the context and decides how many cells of each slot may be written."""

    kind: StoreKind

    def __init__(self, policy: GrowthPolicy, slots: int, admission: Admission) -> None:
        self.policy = policy
        self.cells = [SlotCells() for _ in range(slots)]
        self._admission = admission

    @property
    def booked_bytes(self) -> int:
        """What admission was asked for, and granted."""
        return sum(self.bytes_of(state.granted) for state in self.cells)

    @property
    @abstractmethod
    def context(self) -> Context:
        """The context to decode with; ask again after every growth."""

    def grant_initially(self) -> None:
        """Give every slot its first grant; where memory doesn't allow that, a slot starts with none and grows."""
        for slot in range(len(self.cells)):
            try:
                self._raise_grant(slot, initial_grant(self.policy))
            except KvGrowError:
                return

    def ensure(self, slot: int, cells: int) -> None:
        """Raise the grant of `slot` so that it holds `cells`; does nothing when it already does.

        Call before cells are written, never after a failure. Raises KvGrowError when memory forbids it; the slot
        keeps what it has.
        """
        granted = self.cells[slot].granted
        if cells <= granted:
            return
        try:
            self._raise_grant(slot, next_grant(granted, cells, self.policy))
        except KvGrowError:
            self._raise_grant(slot, cells)  # without a block to spare it may still fit

    def prepare(self, slot: int, count: int) -> None:
        """The next `count` cells of `slot` are about to be written. Raises KvGrowError as `ensure` does."""
        state = self.cells[slot]
        end = state.stored + count
        self.ensure(slot, end)
        state.written = max(state.written, end)

    def advance(self, slot: int, count: int) -> None:
        """The cells that were prepared are computed."""
        self.cells[slot].stored += count

    def rewind(self, slot: int, keep: int) -> int:
        """Forget the cells of `slot` after the first `keep`, computed ones and those of an aborted batch.

        Returns how many are left: none where its memory can't forget just some. Gives no memory back.
        """
        context = self.context
        is_left = keep > 0 and context.remove(slot, keep) and self._reaches_back(slot, keep)
        if not is_left:
            context.remove(slot, -1)
            keep = 0
        self.cells[slot].stored = keep
        return keep

    def _reaches_back(self, slot: int, keep: int) -> bool:
        """Whether all cells are there that a token at position `keep` attends to.

        A sliding window's cells are used again once they are out of the window. llama.cpp then still removes what
        comes after an earlier position, although what the window needs before it is gone.
        """
        first, last = self.context.positions(slot)
        window = self.context.model.window_tokens
        return last == keep - 1 and 0 <= first <= (max(0, keep - window) if window else last)

    def copy(self, source: int, target: int, keep: int) -> int:
        """Replace what `target` holds by the first `keep` cells of `source`; returns how many there are then.

        Fewer than `keep`, none that is, where this kind of memory can't be cut there. llama.cpp hands out and takes
        whole states only, so all cells of `source` are in memory twice more for a moment; that is booked, too. Raises
        KvGrowError.
        """
        count, state = self.cells[source].stored, self.cells[target]
        granted, state_bytes = state.granted, self.context.state_bytes(source)
        self.rewind(target, 0)
        self._claim(state_bytes, granted, count)
        try:
            self.prepare(target, count)
            self.context.restore_state(target, self.context.save_state(source))
            state.stored = count
        except (StateError, OSError) as error:
            log.warning("a beginning could not be copied, it is computed again: %s", error)
        finally:
            self._admission.release(state_bytes)
        kept = self.rewind(target, keep)
        self._lower_grant(target, least_grant(state.granted, max(kept, granted), self.policy))
        return kept

    def load(self, slot: int, data: mmap.mmap | bytearray, count: int) -> bool:
        """Fill an empty slot with the `count` cells that a context of the same kind saved. Raises KvGrowError.

        False, and the slot is empty, if they are not what they are said to be.
        """
        state = self.cells[slot]
        self.prepare(slot, count)
        try:
            self.context.restore_state(slot, data)
        except StateError as error:
            log.warning("saved cells could not be restored: %s", error)
            return False
        if self.context.positions(slot)[1] != count - 1:
            self.rewind(slot, 0)
            return False
        state.stored = count
        return True

    def settle(self, slot: int) -> None:
        """After a request: give back what is no longer stored, and grants that recent requests don't need."""
        state = self.cells[slot]
        state.peaks.append(state.stored)
        self._lower_grant(slot, settled_grant(state.granted, max(state.peaks), self.policy))

    def compact(self, needed: Sequence[int]) -> None:
        """Give back all that goes beyond what is stored and `needed`, cells per slot."""
        for slot, (state, cells) in enumerate(zip(self.cells, needed, strict=True)):
            self._lower_grant(slot, least_grant(state.granted, max(state.stored, cells), self.policy))

    def reclaimable_bytes(self, needed: Sequence[int]) -> int:
        """What is booked beyond `needed`, cells per slot: at most so much could be given back, or used for others."""
        kept = (least_grant(state.granted, cells, self.policy) for state, cells in zip(self.cells, needed, strict=True))
        return self.booked_bytes - sum(map(self.bytes_of, kept))

    @abstractmethod
    def bytes_of(self, cells: int) -> int:
        """What `cells` cells of one slot take."""

    @abstractmethod
    def measure(self) -> KvBytes:
        """KV memory now. Safe to call from any thread while a batch is computed."""

    def close(self) -> None:
        """Free the context and all memory of the cache."""
        self.context.close()
        self._give_up()

    def _give_up(self) -> None:
        """Take everything out of the books."""
        booked = self.booked_bytes
        self.cells = [SlotCells() for _ in self.cells]
        self._admission.note(0, 0)
        self._admission.release(booked)

    def _raise_grant(self, slot: int, cells: int) -> None:
        state = self.cells[slot]
        self._claim(self.bytes_of(cells) - self.bytes_of(state.granted), state.granted, cells)
        state.granted = cells

    def _claim(self, needed_bytes: int, from_cells: int, to_cells: int) -> None:
        """Ask admission for what it takes to go from one number of cells to another; raises KvGrowError."""
        self._note()
        free_bytes = self._admission.claim(needed_bytes)
        if free_bytes is not None:
            raise KvGrowError(
                from_cells=from_cells,
                to_cells=to_cells,
                max_cells=self.policy.max_cells,
                needed_bytes=needed_bytes,
                free_bytes=free_bytes,
            )

    def _lower_grant(self, slot: int, cells: int) -> None:
        """Lower the grant of `slot` to `cells`; a store that can return memory does so here."""
        state = self.cells[slot]
        released_bytes = self.bytes_of(state.granted) - self.bytes_of(cells)
        state.granted = cells
        self._note()
        if released_bytes:
            self._admission.release(released_bytes)

    def _note(self) -> None:
        """Done when grants change, not for every token: in between the books only err on the safe side."""
        self._admission.note(self._backed_bytes(), self._scratch_bytes())

    def _backed_bytes(self) -> int:
        """What of the booked memory the system has handed out already."""
        return sum(self.bytes_of(state.written) for state in self.cells)

    def _scratch_bytes(self) -> int:
        """Memory beside the cells that the context will still take."""
        return 0
