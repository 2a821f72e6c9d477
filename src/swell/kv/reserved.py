"""Reserved: the whole window of every slot is address space; memory follows the cells that are written.

The context is created once at its full size and never moves, so growth is an admission decision: no copy, no pause,
no second buffer.
"""

from swell.errors import KvLayoutError
from swell.kv.kind import StoreKind
from swell.kv.policy import GrowthPolicy
from swell.kv.store import KvBytes, KvStore
from swell.llama.context import Context, ContextShape
from swell.llama.model import Model
from swell.llama.reservation import Reservation, TensorSpan, reserving
from swell.memory.resident import resident_bytes

_KV_TENSOR_PREFIX = "cache_"


class ReservedStore(KvStore):
    kind = StoreKind.RESERVED

    def __init__(self, model: Model, shape: ContextShape, policy: GrowthPolicy) -> None:
        """Raises ContextError where the address space is refused, KvLayoutError where the cache isn't found in it.

        `swell.kv.selfcheck` must have approved of this library before.
        """
        super().__init__(policy, shape.slots)
        with reserving() as reservations:
            self._context = Context(model, shape)
        self._regions = [reservation for reservation in reservations if _holds_kv(reservation)]
        if not self._regions:
            self._context.close()
            raise KvLayoutError("the KV cache was not allocated where it was expected")

    @property
    def context(self) -> Context:
        return self._context

    def _grow(self, slot: int, cells: int) -> None:
        """Nothing to do: the addresses are there, and the kernel backs them as cells are written."""

    def measure(self) -> KvBytes:
        return KvBytes(
            granted=sum(_bytes_of(region, cells) for region in self._regions for cells in self.granted_cells),
            resident=sum(resident_bytes(region.address, region.size_bytes) for region in self._regions),
            reserved=sum(region.size_bytes for region in self._regions),
        )


def _holds_kv(reservation: Reservation) -> bool:
    return any(tensor.name.startswith(_KV_TENSOR_PREFIX) for tensor in reservation.tensors)


def _bytes_of(region: Reservation, cells: int) -> int:
    """What `cells` cells of one slot take; a tensor of fewer cells (a sliding window's) never takes more."""
    return sum(_stream_bytes(tensor, cells) for tensor in region.tensors)


def _stream_bytes(tensor: TensorSpan, cells: int) -> int:
    _, stream_cells, streams = tensor.shape
    return tensor.size_bytes // streams * min(cells, stream_cells) // stream_cells
