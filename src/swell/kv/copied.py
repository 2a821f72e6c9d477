"""Copied: a cache as large as it must be, moved into a larger one when it grows. For any device and system.

The state goes to host memory, the old context is freed, and only then the new one is created: so a device never holds
more than the larger of the two. All slots share one stream of cells, because separate streams would all have to be as
long as the longest; except for architectures that llama.cpp computes differently then. Capacity grows geometrically
(`next_capacity`), so that all copying together stays linear in the final length.
"""

import ctypes
import dataclasses
import logging

from swell.cache import StoreKind
from swell.errors import ContextError, KvGrowError, StateError
from swell.kv.gate import Gate
from swell.kv.policy import GrowthPolicy, next_capacity
from swell.kv.store import KvBytes, KvStore
from swell.llama.context import Context, ContextShape
from swell.llama.model import Model

log = logging.getLogger(__name__)

_PADDING_CELLS = 256  # llama.cpp rounds a context up to this
_NEVER_SHARED = frozenset({"deepseek32", "deepseek4", "dots3note", "glm-dsa", "minimax-m3"})
"""Architectures with sparse attention: in a shared stream llama.cpp chooses other cells, or attends to all of them."""


class CopiedStore(KvStore):
    kind = StoreKind.COPIED

    def __init__(self, model: Model, shape: ContextShape, policy: GrowthPolicy, gate: Gate) -> None:
        """`shape.cells` is what a slot may reach. Raises ContextError when not even the first context can be made."""
        super().__init__(policy, shape.slots, gate)
        self._model = model
        is_shared = model.metadata("general.architecture") not in _NEVER_SHARED
        self._shape = dataclasses.replace(shape, shared=is_shared)
        self._streams = 1 if is_shared else shape.slots
        self._cell_bytes = model.kv_cell_bytes(shape.cache_type)
        self.copied_bytes = 0
        """Bytes moved by all growing and shrinking so far, each way counted."""
        self._context: Context | None = None
        self.grant_initially()
        self._context = self._create(max(self._needed(), _PADDING_CELLS))

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
        total = self.bytes_of(self.capacity_cells * self._streams)
        slots = tuple(self.bytes_of(cells) for cells in self._granted())
        return KvBytes(granted=sum(slots), resident=total, reserved=total, slots_resident=slots)

    def _granted(self) -> list[int]:
        return [state.granted for state in self.cells]

    def _needed(self) -> int:
        """Cells that a stream must have for all grants to be kept."""
        return sum(self._granted()) if self._shape.shared else max(self._granted())

    def _grow(self, slot: int, cells: int) -> None:
        if self._context is None:  # the first grants come before the first context
            return
        state = self.cells[slot]
        before, state.granted = state.granted, cells
        needed = self._needed()
        state.granted = before
        if needed <= self.capacity_cells:
            return
        most = self._shape.cells * (self._shape.slots if self._shape.shared else 1)
        try:
            self._resize(next_capacity(self.capacity_cells, needed, most))
        except ContextError as error:
            raise KvGrowError(
                from_cells=before,
                to_cells=cells,
                max_cells=self.policy.max_cells,
                needed_bytes=self.bytes_of((needed - self.capacity_cells) * self._streams),
                free_bytes=self._gate.spare_bytes(),
            ) from error

    def _give_back(self, slot: int) -> None:
        """Move into a smaller context when less than a third of this one is granted: copying pays only then."""
        state = self.cells[slot]
        state.written = max(state.stored, state.scattered)
        wanted = max(self._needed(), _PADDING_CELLS)
        if wanted * 3 <= self.capacity_cells:
            self._resize(wanted)

    def _resize(self, capacity: int) -> None:
        """Move all cells into a context of `capacity`. Raises ContextError after putting the old size back."""
        old_capacity = self.capacity_cells
        positions = self._positions()
        try:
            state = self.context.save_all()
        except MemoryError as error:
            raise ContextError(capacity, self._shape.slots, "no host memory for its state") from error
        self.context.close()
        refusal: ContextError | None = None
        try:
            self._context = self._create(capacity)
        except ContextError as error:
            refusal = error
            self._context = self._create(old_capacity)  # it was there a moment ago; without it nothing can go on
        self._restore(state, positions)
        if refusal is not None:
            raise refusal
        log.debug("the KV cache went from %d to %d cells, %d bytes", old_capacity, capacity, len(state))

    def _restore(self, state: ctypes.Array[ctypes.c_uint8], positions: list[tuple[int, int]]) -> None:
        """Put the cells back. If not all arrive, all are forgotten: their tokens are known and computed again."""
        self.copied_bytes += 2 * len(state)
        try:
            self.context.restore_all(state)
            is_whole = self._positions() == positions
        except StateError as error:
            log.warning("a state could not be restored: %s", error)
            is_whole = False
        for cells in self.cells:
            cells.scattered = 0  # restored cells lie one after the other
        if not is_whole:
            log.warning("the KV cache was lost in a move and is computed again")
            for slot, cells in enumerate(self.cells):
                self.context.remove(slot, -1)
                cells.stored = 0

    def _positions(self) -> list[tuple[int, int]]:
        return [self.context.positions(slot) for slot in range(self._shape.slots)]

    def _create(self, capacity: int) -> Context:
        cells = -(-capacity // _PADDING_CELLS) * _PADDING_CELLS
        return Context(self._model, dataclasses.replace(self._shape, cells=cells))
