"""Eager: all memory at load, as other servers do it (`OLLAMA_KV_CACHE_DYNAMIC=0`), and wherever nothing else works."""

from swell.kv.kind import StoreKind
from swell.kv.policy import GrowthPolicy
from swell.kv.store import KvBytes, KvStore
from swell.llama.context import Context, ContextShape
from swell.llama.model import Model


class EagerStore(KvStore):
    kind = StoreKind.EAGER

    def __init__(self, model: Model, shape: ContextShape) -> None:
        """Raises ContextError when the memory isn't there."""
        whole = GrowthPolicy(initial_cells=shape.cells, block_cells=shape.cells, max_cells=shape.cells)
        super().__init__(whole, shape.slots)
        self._context = Context(model, shape)
        self._total_bytes = model.kv_cell_bytes * self._context.cells * shape.slots

    @property
    def context(self) -> Context:
        return self._context

    def _grow(self, slot: int, cells: int) -> None:
        """Never called: everything is granted from the start."""
        raise AssertionError(f"an eager cache can't grow (slot {slot} to {cells} cells)")

    def measure(self) -> KvBytes:
        # llama.cpp writes zeros over the whole buffer when it creates it, so that all of it is resident
        return KvBytes(granted=self._total_bytes, resident=self._total_bytes, reserved=self._total_bytes)
