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
from swell.kv.admission import Admission
from swell.kv.policy import GrowthPolicy, next_capacity
from swell.kv.store import KvBytes, KvStore
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel

log = logging.getLogger(__name__)

_PADDING_CELLS = 256  # llama.cpp rounds a context up to this
_NEVER_SHARED = frozenset({"deepseek32", "deepseek4", "dots3note", "glm-dsa", "minimax-m3"})
"""Architectures with sparse attention: in a shared stream llama.cpp chooses other cells, or attends to all of them."""


class CopiedStore(KvStore):
    kind = StoreKind.COPIED

    def __init__(self, model: LlamaModel, shape: ContextShape, policy: GrowthPolicy, admission: Admission) -> None:
        """`shape.cells` is what a slot may reach. Raises ContextError when not even the first context can be made."""
        super().__init__(policy, shape.slots, admission)
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
            self._give_up()
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
        total = self.booked_bytes
        slots = tuple(self.bytes_of(cells) for cells in self._granted())
        return KvBytes(granted=sum(slots), resident=total, reserved=total, slots_resident=slots)

    def _granted(self) -> list[int]:
        return [state.granted for state in self.cells]

    def _needed(self) -> int:
        """Cells that a stream must have for all grants to be kept."""
        return sum(self._granted()) if self._shape.shared else max(self._granted())

    @property
    def booked_bytes(self) -> int:
        """The context's size: memory is taken for capacity, whoever it is granted to."""
        return self._capacity_bytes(self.capacity_cells)

    def _raise_grant(self, slot: int, cells: int) -> None:
        """Grant out of what the context has; only more than that must be asked for."""
        state = self.cells[slot]
        before, state.granted = state.granted, cells
        try:
            if (needed := self._needed()) > self.capacity_cells:
                self._enlarge(needed, before, cells)
        except KvGrowError:
            state.granted = before
            raise

    def _enlarge(self, needed: int, from_cells: int, to_cells: int) -> None:
        """Grow geometrically; where memory doesn't allow that, to just what is needed."""
        most = self._shape.cells * (self._shape.slots if self._shape.shared else 1)
        refusal: ContextError | None = None
        for capacity in (next_capacity(self.capacity_cells, needed, most), needed):
            try:
                return self._resize(_padded(capacity))
            except ContextError as error:
                refusal = error
            except _RefusedError:
                continue
        raise KvGrowError(
            from_cells=from_cells,
            to_cells=to_cells,
            max_cells=self.policy.max_cells,
            needed_bytes=self._capacity_bytes(_padded(needed) - self.capacity_cells),
            free_bytes=0 if refusal is not None else self._admission.spare_bytes(),
        ) from refusal

    def _lower_grant(self, slot: int, cells: int) -> None:
        """Move into a smaller context when less than a third of this one is granted: copying pays only then."""
        state = self.cells[slot]
        state.granted, state.written = cells, state.stored
        wanted = _padded(self._needed())
        if wanted * 3 <= self.capacity_cells:
            try:
                self._resize(wanted)
            except ContextError as error:
                log.warning("the KV cache stays as large as it is: %s", error)

    def _backed_bytes(self) -> int:
        return self.booked_bytes

    def _scratch_bytes(self) -> int:
        """The state passes through host memory when the cache moves."""
        return self.bytes_of(sum(state.stored for state in self.cells))

    def _open_first(self) -> Context:
        """The first context: for all first grants, or for as many as are admitted."""
        while True:
            capacity = _padded(self._needed())
            if self._admission.claim(self._capacity_bytes(capacity)) is None:
                try:
                    return self._create(capacity)
                except ContextError:
                    self._admission.release(self._capacity_bytes(capacity))
                    raise
            granted = [state for state in self.cells if state.granted]
            if not granted:
                raise ContextError(capacity, self._shape.slots, "the budget or the free memory is less than it takes")
            granted[-1].granted = 0

    def _resize(self, capacity: int) -> None:
        """Move all cells into a context of `capacity`.

        Raises _RefusedError if that may not be, ContextError, after putting the old size back, if it can't be.
        """
        additional_bytes = self._capacity_bytes(capacity - self.capacity_cells)
        self._note()
        if additional_bytes > 0 and self._admission.claim(additional_bytes) is not None:
            raise _RefusedError
        try:
            self._move(capacity)
        except ContextError:
            if additional_bytes > 0:
                self._admission.release(additional_bytes)
            raise
        finally:
            self._note()
        if additional_bytes < 0:
            self._admission.release(-additional_bytes)

    def _move(self, capacity: int) -> None:
        old_capacity, positions = self.capacity_cells, self._positions()
        try:
            state = self.context.save_all()
        except MemoryError as error:
            raise ContextError(capacity, self._shape.slots, "no host memory for its state") from error
        self._admission.note(0, 0)  # what it had is free for a moment, and still promised
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

    def _restore(self, state: ctypes.Array[ctypes.c_uint8], positions: list[tuple[int, int]]) -> None:
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


class _RefusedError(Exception):
    """Admission was refused."""


def _padded(capacity: int) -> int:
    return max(-(-capacity // _PADDING_CELLS), 1) * _PADDING_CELLS
