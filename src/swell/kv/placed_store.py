"""Placed: a store for each place. What lies in host memory is reserved; what lies on devices is copied there.

The context is created once, for all that slots may reach. Of that, host memory is address space (`llama/reservation`),
and devices have buffers for what is granted (`llama/device_cache`). So growth copies only what is on devices, and on
them; the context and its memory to compute in stay. Only a shrink takes all cells through host memory: those that are
left must lie together.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Mapping

from swell.cache import FlashAttention, StoreKind
from swell.devices import ContextCells
from swell.errors import ContextError, KvLayoutError
from swell.kv.admission import NOWHERE, Admission
from swell.kv.base import KvBytes
from swell.kv.capacity import CacheLostError, CapacityStore, shares_cells
from swell.kv.planes import Layout, find_planes
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import NEVER_FUSED
from swell.llama.context import Context, ContextShape, keeping_no_graphs
from swell.llama.device_cache import DeviceLostError, DeviceRefusedError, deferring
from swell.llama.model import LlamaModel
from swell.llama.reservation import reserving
from swell.memory.resident import Pagemap

log = logging.getLogger(__name__)


def placed_refusal(model: LlamaModel, shape: ContextShape) -> str | None:
    """Why a cache of `model` on devices is copied as a whole; None where each place can have a store of its own."""
    architecture = model.metadata("general.architecture")
    if shape.flash_attention is FlashAttention.OFF or architecture in NEVER_FUSED:
        return "without flash attention a cell's values are spread over the whole window"
    if shape.slots > 1 and not shares_cells(model):
        return f"the slots of a model of {architecture} can't share cells"
    if model.has_adapters:
        return "adapters have llama.cpp plan for the whole window once more"
    if model.placement.cells is ContextCells.GRANTED:
        return "to compute over the whole window takes too much memory on devices"
    return None


class PlacedStore(CapacityStore):
    kind = StoreKind.PLACED

    def __init__(self, model: LlamaModel, shape: ContextShape, policy: GrowthPolicy, admission: Admission) -> None:
        """`shape.cells` is what a slot may reach; there must be no `placed_refusal`.

        Raises ContextError for want of memory, KvLayoutError where the cache isn't found or a device copies wrongly.
        `swell.kv.selfcheck` must have approved of this library before.
        """
        super().__init__(model, shape, policy, admission)
        self._keeps_graphs = not model.is_recurrent  # a token that was begun can't be taken back from a state
        graphs = contextlib.nullcontext() if self._keeps_graphs else keeping_no_graphs()
        with reserving() as reservations, deferring(model.devices) as deferral, graphs:
            self._context = Context(model, dataclasses.replace(self._shape, cells=self._most_cells))
        try:
            self._cache = deferral.cache(self._context.cells)
        except KvLayoutError:
            self._context.close()
            raise
        try:
            self._scratch = deferral.allocate_scratch()
        except DeviceRefusedError as error:
            self.close()
            raise ContextError(shape.cells, shape.slots, str(error)) from error
        self._planes = find_planes(reservations, self._context.cells, 1, transposed=False)
        cache = {id(plane.reservation) for plane in self._planes}
        self._host_scratch = [region for region in reservations if id(region) not in cache]
        rows = [plane for plane in self._planes if plane.layout is Layout.ROWS]
        self._host_cell_bytes = sum(plane.cell_bytes for plane in rows)
        self._host_fixed_bytes = sum(plane.stream_bytes for plane in self._planes if plane not in rows)
        self._cell_bytes = self._host_cell_bytes + sum(self._cache.cell_bytes.values())
        try:
            self._open_first()
            self._cache.check()
        except (ContextError, KvLayoutError):
            self.close()
            raise
        except DeviceLostError as error:
            self.close()
            raise ContextError(shape.cells, shape.slots, str(error)) from error
        self._note()

    @property
    def context(self) -> Context:
        return self._context

    @property
    def capacity_cells(self) -> int:
        return self._cache.cells

    def close(self) -> None:
        super().close()
        self._cache.free()

    def bytes_of(self, cells: int) -> int:
        return self._cell_bytes * cells

    def measure(self) -> KvBytes:
        with Pagemap() as pagemap:
            return self._bytes(sum(plane.resident_bytes(pagemap, 0, self.capacity_cells) for plane in self._planes))

    def estimate(self) -> KvBytes:
        return self._bytes(self._host_backed_bytes())

    def _bytes(self, host_bytes: int) -> KvBytes:
        devices = self._cache.size_bytes
        on_devices_bytes = sum(devices.values())
        return KvBytes(
            granted=sum(map(self.bytes_of, self._granted())) + self.checkpoint_bytes,
            resident=host_bytes + on_devices_bytes + self.checkpoint_bytes,
            reserved=sum({id(plane.reservation): plane.reservation.size_bytes for plane in self._planes}.values())
            + on_devices_bytes,
            slots_resident=tuple(self.bytes_of(state.written) for state in self.cells),
            devices=devices,
        )

    def _host_backed_bytes(self) -> int:
        written = sum(state.written for state in self.cells)
        return self._host_cell_bytes * written + self._host_fixed_bytes if written else 0

    def _backed_bytes(self) -> int:
        return self._host_backed_bytes()

    def _scratch_bytes(self) -> int:
        """Memory to compute in is reserved in host memory, too."""
        with Pagemap() as pagemap:
            return sum(
                region.size_bytes - pagemap.resident_bytes(region.address, region.size_bytes)
                for region in self._host_scratch
            )

    def _capacity_bytes(self, capacity: int) -> int:
        if not capacity:
            return 0
        return self.bytes_of(capacity) + self._host_fixed_bytes + sum(self._cache.fixed_bytes.values())

    def _device_bytes(self, capacity: int) -> Mapping[str, int]:
        """A device that has no room for a larger buffer beside the old one is given that by way of host memory: so it
        need not have more than the difference.
        """
        if not capacity:
            return NOWHERE
        fixed = self._cache.fixed_bytes
        names = fixed.keys() | self._cache.cell_bytes.keys()
        return {name: self._cache.cell_bytes.get(name, 0) * capacity + fixed.get(name, 0) for name in names}

    def _open(self, capacity: int) -> None:
        self._resize_cache(capacity, 0)

    def _move(self, capacity: int) -> None:
        old_capacity = self.capacity_cells
        self._context.wait()
        if capacity > old_capacity:
            self._resize_cache(capacity, old_capacity)
        else:
            self._shrink(capacity)
        log.debug("the KV cache went from %d to %d cells", old_capacity, capacity)

    def _shrink(self, capacity: int) -> None:
        """Take all cells out and put them back, so that they lie together at the beginning."""
        try:
            state, positions = self._context.save_all(), self._positions()
        except MemoryError as error:
            raise ContextError(capacity, self._shape.slots, "no host memory for its state") from error
        self._context.forget_all()
        try:
            self._resize_cache(capacity, 0)
        except ContextError:
            self._restore(state, positions)
            raise
        self._restore(state, positions)

    def _resize_cache(self, capacity: int, kept: int) -> None:
        before_bytes = self._cache.copied_bytes
        try:
            self._cache.resize(capacity, kept)
        except DeviceRefusedError as error:
            raise ContextError(capacity, self._shape.slots, str(error)) from error
        except DeviceLostError as error:
            raise CacheLostError(f"no cache can be had any more: {error}") from error
        finally:
            if self._keeps_graphs:
                self._context.note_move()
            self.copied_bytes += self._cache.copied_bytes - before_bytes
            sizes = self._cache.size_bytes
            self._context.device_bytes = {name: sizes.get(name, 0) + size for name, size in self._scratch.items()}
            self._model.measure_devices()
