"""Eager: all memory at load, as other servers do it (`OLLAMA_KV_CACHE_DYNAMIC=0`)."""

from collections.abc import Mapping

from swell.cache import StoreKind
from swell.errors import ContextError
from swell.kv.admission import Admission
from swell.kv.base import KvBytes
from swell.kv.policy import GrowthPolicy
from swell.kv.store import BookedStore
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel


class EagerStore(BookedStore):
    kind = StoreKind.EAGER

    def __init__(self, model: LlamaModel, shape: ContextShape, admission: Admission) -> None:
        """Raises ContextError when the memory isn't there or the budget forbids it."""
        whole = GrowthPolicy(initial_cells=shape.cells, block_cells=shape.cells, max_cells=shape.cells)
        super().__init__(model, shape, whole, admission)
        self._model = model
        self._cell_bytes = model.kv_cell_bytes(shape.cache_type)
        self._grant_initially()
        try:
            if any(state.granted == 0 for state in self.cells):
                raise ContextError(shape.cells, shape.slots, "the budget or the free memory is less than it takes")
            self._context = Context(model, shape)
        except ContextError:
            self._books.clear()
            raise
        self._note()

    @property
    def context(self) -> Context:
        return self._context

    def bytes_of(self, cells: int) -> int:
        return self._cell_bytes * cells

    def measure(self) -> KvBytes:
        # llama.cpp writes zeros over the whole buffer when it creates it, so that all of it is resident
        slots = tuple(self.bytes_of(state.granted) for state in self.cells)
        total = sum(slots) + self.checkpoint_bytes
        devices = self._model.kv_on_devices(sum(slots))
        return KvBytes(granted=total, resident=total, reserved=sum(slots), slots_resident=slots, devices=devices)

    def settle(self, slot: int) -> None:
        """Nothing is ever given back."""

    def compact(self, needed: object) -> None:
        """Nothing is ever given back."""

    def _on_devices(self, cell_bytes: int) -> Mapping[str, int]:
        return self._model.kv_on_devices(cell_bytes)

    def _backed_bytes(self) -> int:
        return self._cells_bytes - sum(self._books.device_bytes.values())
