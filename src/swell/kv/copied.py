"""Copied: a cache as large as it must be, moved into a larger one when it grows. For any device and system.

The state goes to host memory, the old context is freed, and only then the new one is created: so a device never holds
more than the larger of the two.
"""

import dataclasses
import logging
from collections.abc import Mapping

from swell.cache import StoreKind
from swell.errors import ContextError
from swell.kv.admission import Admission
from swell.kv.base import KvBytes
from swell.kv.capacity import CacheLostError, CapacityStore
from swell.kv.policy import GrowthPolicy
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel

log = logging.getLogger(__name__)


class CopiedStore(CapacityStore):
    kind = StoreKind.COPIED

    def __init__(self, model: LlamaModel, shape: ContextShape, policy: GrowthPolicy, admission: Admission) -> None:
        """`shape.cells` is what a slot may reach. Raises ContextError when not even the first context can be made."""
        super().__init__(model, shape, policy, admission)
        self._streams = 1 if self._shape.shared else shape.slots
        self._cell_bytes = model.kv_cell_bytes(shape.cache_type)
        self._context: Context | None = None
        try:
            self._open_first()
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
        return 0 if self._context is None else self._context.cells

    def bytes_of(self, cells: int) -> int:
        return self._cell_bytes * cells

    def measure(self) -> KvBytes:
        slots = tuple(self.bytes_of(cells) for cells in self._granted())
        saved_bytes, total = self.checkpoint_bytes, self._cells_bytes
        return KvBytes(
            granted=sum(slots) + saved_bytes,
            resident=total + saved_bytes,
            reserved=total,
            slots_resident=slots,
            devices=self._model.kv_on_devices(total),
        )

    def _scratch_bytes(self) -> int:
        """The state passes through host memory when the cache moves."""
        return self.bytes_of(sum(state.stored for state in self.cells))

    def _open(self, capacity: int) -> None:
        self._context = self._create(capacity)

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

    def _create(self, capacity: int) -> Context:
        return Context(self._model, dataclasses.replace(self._shape, cells=capacity))

    def _capacity_bytes(self, capacity: int) -> int:
        return self.bytes_of(capacity * self._streams)

    def _device_bytes(self, capacity: int) -> Mapping[str, int]:
        return self._model.kv_on_devices(self._capacity_bytes(capacity))
