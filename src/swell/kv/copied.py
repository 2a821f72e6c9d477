"""Copied: a cache as large as it must be, moved into a larger one when it grows. For any device and system.

The state goes to host memory, the old context is freed, and only then the new one is created: so a device never holds
more than the larger of the two. All slots share one stream of cells, because separate streams would all have to be as
long as the longest; except for architectures that llama.cpp computes differently then. Capacity grows geometrically
(`next_capacity`), so that all copying together stays linear in the final length.
"""

import dataclasses
import logging

from swell.cache import StoreKind
from swell.errors import ContextError, StateError
from swell.kv.admission import Admission
from swell.kv.base import KvBytes
from swell.kv.books import NoRoom
from swell.kv.policy import GrowthPolicy, next_capacity
from swell.kv.store import BookedStore
from swell.llama.context import Context, ContextShape, SavedCells
from swell.llama.model import LlamaModel

log = logging.getLogger(__name__)

_PADDING_CELLS = 256  # llama.cpp rounds a context up to this
_NEVER_SHARED = frozenset({"deepseek32", "deepseek4", "dots3note", "glm-dsa", "minimax-m3"})
"""Architectures with sparse attention: in a shared stream llama.cpp chooses other cells, or attends to all of them."""


class CopiedStore(BookedStore):
    kind = StoreKind.COPIED

    def __init__(self, model: LlamaModel, shape: ContextShape, policy: GrowthPolicy, admission: Admission) -> None:
        """`shape.cells` is what a slot may reach. Raises ContextError when not even the first context can be made."""
        super().__init__(model, shape, policy, admission)
        self._model = model
        is_shared = model.metadata("general.architecture") not in _NEVER_SHARED
        self._shape = dataclasses.replace(shape, shared=is_shared)
        self._streams = 1 if is_shared else shape.slots
        self._cell_bytes = model.kv_cell_bytes(shape.cache_type)
        self.copied_bytes = 0
        """Bytes moved by all growing and shrinking so far, each way counted."""
        self._context: Context | None = None
        for state in self.cells:
            state.granted = min(policy.initial_cells, policy.max_cells)
        try:
            self._context = self._open_first()
        except ContextError:
            self._books.clear()
            raise
        self._note()

    @property
    def context(self) -> Context:
        assert self._context is not None
        return self._context

    @property
    def capacity_cells(self) -> int:
        """Cells of each stream of the context."""
        return 0 if self._context is None else self._context.cells

    def bytes_of(self, cells: int) -> int:
        return self._cell_bytes * cells

    def measure(self) -> KvBytes:
        slots = tuple(self.bytes_of(cells) for cells in self._granted())
        saved_bytes, total = self.checkpoint_bytes, self._cells_bytes
        return KvBytes(
            granted=sum(slots) + saved_bytes, resident=total + saved_bytes, reserved=total, slots_resident=slots
        )

    def _granted(self) -> list[int]:
        return [state.granted for state in self.cells]

    def _needed(self) -> int:
        """Cells that a stream must have for all grants to be kept."""
        return sum(self._granted()) if self._shape.shared else max(self._granted())

    @property
    def _cells_bytes(self) -> int:
        """The context's size: memory is taken for capacity, whoever it is granted to."""
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
        most = self._shape.cells * (self._shape.slots if self._shape.shared else 1)
        geometric = self._resize(_padded(next_capacity(self.capacity_cells, needed, most)))
        if geometric is None:
            return None
        least = self._resize(_padded(needed))
        if least is None or geometric.cause is None or least.cause is not None:
            return least
        return dataclasses.replace(least, free_bytes=0, cause=geometric.cause)  # what is free can't be had

    def _lower_grant(self, slot: int, cells: int) -> None:
        """Move into a smaller context when less than a third of this one is granted: copying pays only then."""
        state = self.cells[slot]
        state.granted, state.written = cells, state.stored
        wanted = _padded(self._needed())
        if wanted * 3 <= self.capacity_cells:
            refusal = self._resize(wanted)
            if refusal is not None:
                log.warning("the KV cache stays as large as it is: %s", refusal.cause)

    def _backed_bytes(self) -> int:
        return self._cells_bytes

    def _scratch_bytes(self) -> int:
        """The state passes through host memory when the cache moves."""
        return self.bytes_of(sum(state.stored for state in self.cells))

    def _faults(self) -> list[str]:
        if (needed := self._needed()) > self.capacity_cells:
            return [*super()._faults(), f"{needed} cells are granted, and the context has {self.capacity_cells}"]
        return super()._faults()

    def _open_first(self) -> Context:
        """The first context: for all first grants, or for as many as are admitted."""
        while True:
            capacity = _padded(self._needed())
            if self._books.claim(self._capacity_bytes(capacity)) is None:
                try:
                    return self._create(capacity)
                except ContextError:
                    self._books.release(self._capacity_bytes(capacity))
                    raise
            granted = [state for state in self.cells if state.granted]
            if not granted:
                raise ContextError(capacity, self._shape.slots, "the budget or the free memory is less than it takes")
            granted[-1].granted = 0

    def _resize(self, capacity: int) -> NoRoom | None:
        """Move all cells into a context of `capacity`. Where memory for that is refused, the size stays as it is.

        Raises CacheLostError where not even the old size can be had again.
        """
        additional_bytes = self._capacity_bytes(capacity - self.capacity_cells)
        if additional_bytes > 0 and (refusal := self._claim(additional_bytes)) is not None:
            return refusal
        try:
            self._move(capacity)
        except ContextError as error:
            if additional_bytes > 0:
                self._books.release(additional_bytes)
            return NoRoom(needed_bytes=additional_bytes, free_bytes=0, cause=error)
        finally:
            self._note()
        if additional_bytes < 0:
            self._books.release(-additional_bytes)
        return None

    def _move(self, capacity: int) -> None:
        """Raises ContextError, after putting the old size back, where there can't be such a context."""
        old_capacity, positions = self.capacity_cells, self._positions()
        try:
            state = self.context.save_all()
        except MemoryError as error:
            raise ContextError(capacity, self._shape.slots, "no host memory for its state") from error
        self._books.admission.note(self.checkpoint_bytes, 0)  # what it had is free for a moment, and still promised
        self.context.close()
        refusal: ContextError | None = None
        try:
            self._context = self._create(capacity)
        except ContextError as error:
            refusal = error
            self._context = self._create_again(old_capacity)
        self._restore(state, positions)
        if refusal is not None:
            raise refusal
        log.debug("the KV cache went from %d to %d cells, %d bytes", old_capacity, capacity, len(state))

    def _create_again(self, capacity: int) -> Context:
        """A context as large as the one that was there a moment ago."""
        try:
            return self._create(capacity)
        except ContextError as error:
            raise CacheLostError(f"no cache can be had any more: {error}") from error

    def _restore(self, state: SavedCells, positions: list[tuple[int, int]]) -> None:
        """Put the cells back. If not all arrive, all are forgotten: their tokens are known and computed again."""
        self.copied_bytes += 2 * len(state)
        try:
            self.context.restore_all(state)
            is_whole = self._positions() == positions
        except StateError as error:
            log.warning("a state could not be restored: %s", error)
            is_whole = False
        if not is_whole:
            log.warning("the KV cache was lost in a move and is computed again")
            for slot, cells in enumerate(self.cells):
                self.context.remove(slot, -1)
                cells.stored = 0

    def _positions(self) -> list[tuple[int, int]]:
        return [self.context.positions(slot) for slot in range(self._shape.slots)]

    def _create(self, capacity: int) -> Context:
        return Context(self._model, dataclasses.replace(self._shape, cells=capacity))

    def _capacity_bytes(self, capacity: int) -> int:
        return self.bytes_of(capacity * self._streams)


class CacheLostError(Exception):
    """There is no context any more. Not a SwellError, so that nobody answers it to a request: it ends the runner, and
    the server carries all generations on in a new one."""


def _padded(capacity: int) -> int:
    return max(-(-capacity // _PADDING_CELLS), 1) * _PADDING_CELLS
