"""What stores have in common whose slots share what there is room for: a capacity that grows geometrically.

Capacity grows by 8/5 (`next_capacity`), so that what is copied for it stays linear in the final length.
"""

import dataclasses
import logging
from abc import abstractmethod
from collections.abc import Mapping

from swell.errors import ContextError, StateError
from swell.kv.admission import Admission
from swell.kv.books import NoRoom
from swell.kv.policy import GrowthPolicy, next_capacity
from swell.kv.store import BookedStore
from swell.llama.context import ContextShape, SavedCells
from swell.llama.model import LlamaModel

log = logging.getLogger(__name__)

_PADDING_CELLS = 256  # llama.cpp rounds a context up to this
_NEVER_SHARED = frozenset({"deepseek32", "deepseek4", "dots3note", "glm-dsa", "minimax-m3"})
"""Architectures with sparse attention: in a shared stream llama.cpp chooses other cells, or attends to all of them."""


class CapacityStore(BookedStore):
    """A store only says what a capacity takes (`_capacity_bytes`), how the first one is had (`_open`), and how it is
    changed (`_move`).

    All slots share one stream of cells, because separate streams would all have to be as long as the longest; except
    for architectures that llama.cpp computes differently then.
    """

    def __init__(self, model: LlamaModel, shape: ContextShape, policy: GrowthPolicy, admission: Admission) -> None:
        """`shape.cells` is what a slot may reach."""
        super().__init__(model, shape, policy, admission)
        self._model = model
        self._shape = dataclasses.replace(shape, shared=shares_cells(model))
        self.copied_bytes = 0
        """Bytes moved by all growing and shrinking so far, each way counted."""
        for state in self.cells:
            state.granted = min(policy.initial_cells, policy.max_cells)

    @property
    @abstractmethod
    def capacity_cells(self) -> int:
        """Cells of each stream that there is room for."""

    @abstractmethod
    def _capacity_bytes(self, capacity: int) -> int:
        """What room for so many cells takes in each stream."""

    @abstractmethod
    def _device_bytes(self, capacity: int) -> Mapping[str, int]:
        """What of that lies on which device."""

    @abstractmethod
    def _open(self, capacity: int) -> None:
        """Make the first room, for so many cells. Raises ContextError."""

    @abstractmethod
    def _move(self, capacity: int) -> None:
        """Have room for `capacity` cells instead. Raises ContextError, with everything as it was, where that can't be,
        and CacheLostError where not even that is left.
        """

    @property
    def _most_cells(self) -> int:
        """Cells of a stream that holds all that slots may reach."""
        return self._shape.cells * (self._shape.slots if self._shape.shared else 1)

    def _granted(self) -> list[int]:
        return [state.granted for state in self.cells]

    def _needed(self) -> int:
        """Cells that a stream must have for all grants to be kept."""
        return sum(self._granted()) if self._shape.shared else max(self._granted())

    @property
    def _cells_bytes(self) -> int:
        """Memory is taken for capacity, whoever it is granted to."""
        return self._capacity_bytes(self.capacity_cells)

    def _raise_grant(self, slot: int, cells: int) -> NoRoom | None:
        """Grant out of what the context has; only more than that must be asked for."""
        state = self.cells[slot]
        before, state.granted = state.granted, cells
        needed = self._needed()
        refusal = self._enlarge(needed) if needed > self.capacity_cells else None
        if refusal is not None:
            state.granted = before
        return refusal

    def _enlarge(self, needed: int) -> NoRoom | None:
        """Grow geometrically; where memory doesn't allow that, to just what is needed."""
        geometric = self._resize(_padded(next_capacity(self.capacity_cells, needed, self._most_cells)))
        if geometric is None:
            return None
        least = self._resize(_padded(needed))
        if least is None or geometric.cause is None or least.cause is not None:
            return least
        return dataclasses.replace(least, free_bytes=0, cause=geometric.cause)  # what is free can't be had

    def _lower_grant(self, slot: int, cells: int) -> None:
        """Give room back when less than a third of it is granted: copying pays only then."""
        state = self.cells[slot]
        state.granted, state.written = cells, state.stored
        wanted = _padded(self._needed())
        if wanted * 3 <= self.capacity_cells:
            refusal = self._resize(wanted)
            if refusal is not None:
                log.warning("the KV cache stays as large as it is: %s", refusal.cause)

    def _backed_bytes(self) -> int:
        return self._cells_bytes - sum(self._device_bytes(self.capacity_cells).values())

    def _faults(self) -> list[str]:
        if (needed := self._needed()) > self.capacity_cells:
            return [*super()._faults(), f"{needed} cells are granted, and there is room for {self.capacity_cells}"]
        return super()._faults()

    def _open_first(self) -> None:
        """Make the first room: for all first grants, or for as many as are admitted. Raises ContextError."""
        while True:
            capacity = _padded(self._needed())
            needed_bytes, device_bytes = self._capacity_bytes(capacity), self._device_bytes(capacity)
            if self._books.claim(needed_bytes, device_bytes) is None:
                try:
                    return self._open(capacity)
                except ContextError:
                    self._books.release(needed_bytes, device_bytes)
                    raise
            granted = [state for state in self.cells if state.granted]
            if not granted:
                raise ContextError(capacity, self._shape.slots, "the budget or the free memory is less than it takes")
            granted[-1].granted = 0

    def _resize(self, capacity: int) -> NoRoom | None:
        """Have room for `capacity` cells. Where memory for that is refused, it stays as it is.

        Raises CacheLostError where not even the old size can be had again.
        """
        less, more = sorted((self.capacity_cells, capacity))
        change_bytes = self._capacity_bytes(more) - self._capacity_bytes(less)
        before, on_devices = self._device_bytes(less), self._device_bytes(more)
        device_bytes = {name: size - before.get(name, 0) for name, size in on_devices.items()}
        grows = capacity == more
        if grows and (refusal := self._claim(change_bytes, device_bytes)) is not None:
            return refusal
        try:
            self._move(capacity)
        except ContextError as error:
            if grows:
                self._books.release(change_bytes, device_bytes)
            return NoRoom(needed_bytes=change_bytes if grows else 0, free_bytes=0, cause=error)
        finally:
            self._note()
        if not grows:
            self._books.release(change_bytes, device_bytes)
        return None

    def _restore(self, state: SavedCells, positions: list[tuple[int, int]]) -> None:
        """Put the cells back. If not all arrive, all are forgotten: their tokens are known and computed again."""
        self.copied_bytes += 2 * len(state)
        try:
            self.context.restore_all(state)
            is_whole = self._positions() == positions
        except StateError as error:
            log.warning("a state could not be restored: %s", error)
            is_whole = False
        if is_whole:
            return
        log.warning("the KV cache was lost in a move and is computed again")
        for slot, cells in enumerate(self.cells):
            self.context.remove(slot, -1)
            cells.stored = 0

    def _positions(self) -> list[tuple[int, int]]:
        return [self.context.positions(slot) for slot in range(self._shape.slots)]


class CacheLostError(Exception):
    """There is no cache any more. Not a SwellError, so that nobody answers it to a request: it ends the runner, and
    the server carries all generations on in a new one."""


def shares_cells(model: LlamaModel) -> bool:
    """Whether the slots of a context of `model` may share one stream of cells."""
    return model.metadata("general.architecture") not in _NEVER_SHARED


def _padded(capacity: int) -> int:
    return max(-(-capacity // _PADDING_CELLS), 1) * _PADDING_CELLS
