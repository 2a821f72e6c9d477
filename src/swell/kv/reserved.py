"""Reserved: the whole window of every slot is address space; memory follows the cells that are written.

The context is created once at its full size and never moves, so growth is an admission decision: no copy, no pause,
no second buffer. Giving memory back is telling the kernel which pages are no longer wanted.
"""

from collections import Counter

from swell.cache import FlashAttention, StoreKind
from swell.errors import KvLayoutError
from swell.kv.admission import Admission
from swell.kv.base import KvBytes
from swell.kv.planes import Layout, find_planes
from swell.kv.policy import GrowthPolicy
from swell.kv.store import BookedStore
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel
from swell.llama.reservation import reserving
from swell.memory.resident import Pagemap

_NEVER_FUSED = frozenset({"grok"})
"""Architectures for which llama.cpp turns flash attention off by itself."""


class ReservedStore(BookedStore):
    kind = StoreKind.RESERVED

    def __init__(self, model: LlamaModel, shape: ContextShape, policy: GrowthPolicy, admission: Admission) -> None:
        """Raises ContextError where the address space is refused, KvLayoutError where the cache isn't found in it.

        `swell.kv.selfcheck` must have approved of this library before.
        """
        super().__init__(model, shape, policy, admission)
        with reserving() as reservations:
            self._context = Context(model, shape)
        is_transposed = (
            shape.flash_attention is FlashAttention.OFF or model.metadata("general.architecture") in _NEVER_FUSED
        )
        self._planes = find_planes(reservations, self._context.cells, shape.slots, transposed=is_transposed)
        if not self._planes:
            self._context.close()
            raise KvLayoutError("the KV cache was not allocated where it was expected")
        cache = {id(plane.reservation) for plane in self._planes}
        self._scratch = [region for region in reservations if id(region) not in cache]
        self._state_bytes = sum(plane.stream_bytes for plane in self._planes if plane.layout is Layout.STATE)
        self._cell_bytes = Counter[int]()  # by how many cells there are of it in a slot
        for plane in self._planes:
            if plane.layout is not Layout.STATE:
                self._cell_bytes[plane.cells] += plane.cell_bytes
        self._grant_initially()

    @property
    def context(self) -> Context:
        return self._context

    def bytes_of(self, cells: int) -> int:
        """A ring or a state never takes more than it has room for."""
        if cells == 0:
            return 0
        return self._state_bytes + sum(min(cells, most) * size for most, size in self._cell_bytes.items())

    def measure(self) -> KvBytes:
        with Pagemap() as pagemap:
            slots = tuple(
                sum(plane.resident_bytes(pagemap, slot, state.granted) for plane in self._planes)
                for slot, state in enumerate(self.cells)
            )
        return KvBytes(
            granted=self.booked_bytes,
            resident=sum(slots) + self.checkpoint_bytes,
            reserved=sum({id(plane.reservation): plane.reservation.size_bytes for plane in self._planes}.values()),
            slots_resident=slots,
        )

    def _lower_grant(self, slot: int, cells: int) -> None:
        state = self.cells[slot]
        written, state.written = state.written, state.stored
        super()._lower_grant(slot, cells)  # first: what the books say is in use must be
        if written > state.stored:
            for plane in self._planes:
                plane.give_back(slot, state.stored, written)

    def _scratch_bytes(self) -> int:
        """Compute buffers are reservations, too: backed by the first large batches."""
        with Pagemap() as pagemap:
            return sum(
                region.size_bytes - pagemap.resident_bytes(region.address, region.size_bytes)
                for region in self._scratch
            )
