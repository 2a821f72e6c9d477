"""K and V on devices, in buffers that follow what is granted, within one context that stays.

llama.cpp allocates a cache for the whole window when it creates a context, and computes only over the cells up to the
last one in use. So what lies behind those need not be there. Within `deferring()` the devices hand out buffers that
say they have the size they were asked for, and take next to nothing. Afterwards each tensor of the cache is given a
buffer of its own for as many cells as are granted (`DeviceCache.resize`), and its shape says so: whatever llama.cpp or
a device checks about it is true. Growing is an allocation and a copy on the device, tensor by tensor, so that a
device never holds more than the larger cache and one tensor besides.

Cells are taken from the lowest on (llama.cpp looks for free ones from the first that may be), so that a context whose
slots share one stream never uses a cell beyond what is granted to all of them together. Values must not be transposed,
for then a cell's numbers are spread over the whole window.
"""

import contextlib
import ctypes
import dataclasses
from collections.abc import Iterator, Sequence

from swell.errors import KvLayoutError
from swell.llama import layout
from swell.llama.device_quota import note_freed
from swell.llama.devices import Device
from swell.llama.library import VOID, function

_SIZE = ctypes.c_size_t
_SUCCESS = 0  # GGML_STATUS_SUCCESS
_TINY_BYTES = 256
_CACHE = b"cache_"
_type_of_device = function("ggml_backend_dev_buffer_type", [VOID], VOID)
_allocate = function("ggml_backend_buft_alloc_buffer", [VOID, _SIZE], VOID)
_size_of = function("ggml_backend_buft_get_alloc_size", [VOID, VOID], _SIZE)
_base = function("ggml_backend_buffer_get_base", [VOID], VOID)
_buffer_size = function("ggml_backend_buffer_get_size", [VOID], _SIZE)
_clear = function("ggml_backend_buffer_clear", [VOID, ctypes.c_uint8], None)
_free_buffer = function("ggml_backend_buffer_free", [VOID], None)
_init_tensor = function("ggml_backend_buffer_init_tensor", [VOID, VOID], ctypes.c_int)
_copy = function("ggml_backend_tensor_copy", [VOID, VOID], None)
_get = function("ggml_backend_tensor_get", [VOID, VOID, _SIZE, _SIZE], None)
_set = function("ggml_backend_tensor_set", [VOID, VOID, _SIZE, _SIZE], None)


def _free(buffer: int | None) -> None:
    if buffer is not None:
        _free_buffer(buffer)
        note_freed([buffer])


class DeviceRefusedError(Exception):
    """A device has no room for a buffer. Never leaves `swell.kv`."""


class DeviceLostError(Exception):
    """A device did not even give back what was there a moment ago."""


@dataclasses.dataclass(eq=False)
class DeviceTensor:
    """K or V of one layer: llama.cpp's structs of it and of its views, and the buffer in which it lies."""

    device: str
    buffer_type: int
    address: int
    views: list[int]
    buffer: int | None = None

    @property
    def struct(self) -> layout.GgmlTensor:
        return layout.GgmlTensor.from_address(self.address)

    @property
    def cells(self) -> int:
        return int(self.struct.ne[1])

    @property
    def cell_bytes(self) -> int:
        return int(self.struct.nb[1])

    @property
    def size_bytes(self) -> int:
        """What it takes on its device."""
        return 0 if self.buffer is None else int(_buffer_size(self.buffer))

    def shaped(self, cells: int) -> layout.GgmlTensor:
        """A copy of its struct that ends after `cells` cells."""
        copy = layout.GgmlTensor.from_buffer_copy(self.struct)
        copy.ne[1] = cells
        copy.nb[2] = copy.nb[3] = copy.nb[1] * cells
        return copy

    def needed_bytes(self, cells: int) -> int:
        """What a device takes for `cells` cells."""
        shape = self.shaped(cells)
        shape.buffer = shape.data = None  # a worker is asked about it, and looks whether it lies where it says
        return int(_size_of(self.buffer_type, ctypes.byref(shape)))

    def allocate(self, cells: int) -> int | None:
        """A buffer of zeros for `cells` cells; None where the device refuses it."""
        buffer = _allocate(self.buffer_type, self.needed_bytes(cells))
        if buffer:
            _clear(buffer, 0)
        return buffer or None

    def point(self, buffer: int, cells: int) -> None:
        """Say that it lies in `buffer`, and has `cells` cells."""
        struct, shape = self.struct, self.shaped(cells)
        struct.ne, struct.nb = shape.ne, shape.nb
        struct.buffer, struct.data = buffer, _base(buffer)
        for address in self.views:
            view = layout.GgmlTensor.from_address(address)
            view.ne[1] = cells
            view.nb[2] = view.nb[3] = view.nb[1] * cells
            view.buffer, view.data = buffer, struct.data + view.view_offs
        self.buffer = buffer
        if _init_tensor(buffer, self.address) != _SUCCESS:
            raise DeviceLostError("a device doesn't take a tensor")


class DeviceCache:
    """The cache's tensors on all devices of a context."""

    def __init__(self, tensors: Sequence[DeviceTensor], window_cells: int, others: Sequence[int] = ()) -> None:
        """Those that hold the whole window, `window_cells`, follow; what is a ring or a state has one size.

        `others` are buffers that are freed with it.
        """
        self._tensors = tensors
        self._others = others
        self._following = [tensor for tensor in tensors if tensor.cells == window_cells]
        self._fixed_cells = {id(tensor): tensor.cells for tensor in tensors if tensor.cells != window_cells}
        self.cells = 0
        """How many cells there is room for."""
        self.copied_bytes = 0
        """What all moves so far have copied, each way counted."""

    @property
    def cell_bytes(self) -> dict[str, int]:
        """What a cell takes, by device."""
        return _by_device((tensor.device, tensor.cell_bytes) for tensor in self._following)

    @property
    def fixed_bytes(self) -> dict[str, int]:
        """What doesn't follow, by device."""
        fixed = (tensor for tensor in self._tensors if id(tensor) in self._fixed_cells)
        return _by_device((tensor.device, tensor.needed_bytes(tensor.cells)) for tensor in fixed)

    @property
    def size_bytes(self) -> dict[str, int]:
        """What is taken, by device."""
        return _by_device((tensor.device, tensor.size_bytes) for tensor in self._tensors)

    def resize(self, cells: int, kept: int) -> None:
        """Have room for `cells` cells; the first `kept`, which must fit, keep what is in them.

        Nothing may be computed meanwhile. Raises DeviceRefusedError where a device has no room, with everything as it
        was, and DeviceLostError where that can't be had again.
        """
        moved: list[DeviceTensor] = []
        for tensor in self._tensors:
            target = self._fixed_cells.get(id(tensor), cells)
            if tensor.buffer is not None and tensor.cells == target:
                continue
            if not self._move(tensor, target, kept):
                for earlier in moved:
                    self._put_back(earlier, kept)
                raise DeviceRefusedError(f"{tensor.device} has no room for {tensor.needed_bytes(target)} bytes")
            moved.append(tensor)
        self.cells = cells

    def check(self) -> None:
        """Write into a tensor on each device, move it, and read it again; raises KvLayoutError if that differs.

        The cache must be empty, and have room.
        """
        for tensor in {tensor.device: tensor for tensor in self._following}.values():
            size_bytes = tensor.cell_bytes * tensor.cells
            expected = bytes(index * 7 % 251 for index in range(tensor.cell_bytes)) * tensor.cells
            _set(tensor.address, expected, 0, size_bytes)
            if not self._move(tensor, tensor.cells, tensor.cells):
                continue  # there is no room for both; what is left of it is in use
            found = ctypes.create_string_buffer(size_bytes)
            _get(tensor.address, found, 0, size_bytes)
            if found.raw != expected:
                raise KvLayoutError(f"{tensor.device} doesn't give back what was copied on it")
        self.clear()
        self.copied_bytes = 0

    def clear(self) -> None:
        """Make everything zero."""
        for tensor in self._tensors:
            if tensor.buffer is not None:
                _clear(tensor.buffer, 0)

    def free(self) -> None:
        """Give all back. The context must be gone."""
        for tensor in self._tensors:
            if tensor.buffer is not None:
                _free(tensor.buffer)
                tensor.buffer = None
        for buffer in self._others:
            _free(buffer)
        for address in [address for address, cache in _caches.items() if cache is self]:
            del _caches[address]

    def _put_back(self, tensor: DeviceTensor, kept: int) -> None:
        """Undo a move of an attempt that failed."""
        if self.cells:
            if not self._move(tensor, self.cells, kept):
                raise DeviceLostError(f"{tensor.device} did not give back what was there")
        else:
            _free(tensor.buffer)
            tensor.buffer = None

    def _move(self, tensor: DeviceTensor, cells: int, kept: int) -> bool:
        """Put a tensor into a buffer for `cells` cells; False, and it is as before, where the device refuses that."""
        old = tensor.buffer
        if old is None:
            if (first := tensor.allocate(cells)) is not None:
                tensor.point(first, cells)
            return first is not None
        if kept and (new := tensor.allocate(cells)) is not None:
            source, target = tensor.shaped(kept), tensor.shaped(kept)
            target.buffer, target.data = new, _base(new)
            _copy(ctypes.byref(source), ctypes.byref(target))
            self.copied_bytes += tensor.cell_bytes * kept
            _free(old)
            tensor.point(new, cells)
            return True
        return self._move_through_host(tensor, old, cells, kept)

    def _move_through_host(self, tensor: DeviceTensor, old: int, cells: int, kept: int) -> bool:
        """The same by way of host memory, so that its device never holds both buffers."""
        size_bytes = tensor.cell_bytes * kept
        saved, old_cells = ctypes.create_string_buffer(max(1, size_bytes)), tensor.cells
        _get(tensor.address, saved, 0, size_bytes)
        _free(old)
        tensor.buffer = None  # until there is another one: who closes the store frees what is left
        new = tensor.allocate(cells)
        there = new or tensor.allocate(old_cells)
        if there is None:
            raise DeviceLostError(f"{tensor.device} did not give back what was there")
        tensor.point(there, cells if new is not None else old_cells)
        _set(tensor.address, saved, 0, size_bytes)
        self.copied_bytes += 2 * size_bytes
        return new is not None


def _by_device(amounts: Iterator[tuple[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for device, amount in amounts:
        totals[device] = totals.get(device, 0) + amount
    return totals


@dataclasses.dataclass(eq=False)
class _Deferred:
    """A buffer that only says it were as large as it was asked for."""

    device: str
    buffer_type: int
    size_bytes: int
    tensors: dict[int, DeviceTensor]


class Deferral:
    """What was deferred while a context was created."""

    def __init__(self, devices: Sequence[str]) -> None:
        self.buffers: dict[int, _Deferred] = {}
        self._devices = devices
        self._shells: list[int] = []

    def allocate_scratch(self) -> dict[str, int]:
        """Give the buffers to compute in, which hold nothing of a cache, the memory that they were asked for.

        Returns how much that is, by device. Raises DeviceRefusedError.
        """
        sizes = dict.fromkeys(self._devices, 0)
        for address, deferred in list(self.buffers.items()):
            sizes[deferred.device] += _TINY_BYTES
            if deferred.tensors:
                continue
            real = _allocate(deferred.buffer_type, deferred.size_bytes)
            if not real:
                raise DeviceRefusedError(f"{deferred.device} has no room for {deferred.size_bytes} bytes to compute in")
            mine, other = layout.Buffer.from_address(address), layout.Buffer.from_address(real)
            mine.context, other.context = other.context, mine.context
            self._shells.append(real)  # who counts what is allocated counts it as long as this is there
            del self.buffers[address]
            sizes[deferred.device] += deferred.size_bytes
        return sizes

    def cache(self, window_cells: int) -> DeviceCache:
        """The cache's tensors; raises KvLayoutError if they aren't what they should be."""
        tensors = [tensor for deferred in self.buffers.values() for tensor in deferred.tensors.values()]
        if not tensors:
            raise KvLayoutError("no cache was allocated on any device")
        for tensor in tensors:
            struct = tensor.struct
            if struct.ne[2] != 1 or struct.nb[2] != struct.nb[1] * struct.ne[1]:
                raise KvLayoutError(f"{struct.name!r} is not one stream of cells")
        cache = DeviceCache(tensors, window_cells, self._shells)
        for address in self.buffers:
            _caches[address] = cache
        return cache


_caches: dict[int, DeviceCache] = {}
"""By the buffers that llama.cpp takes for those of a cache."""


def _clear_cache(buffer: int, _value: int) -> None:
    """llama.cpp clears with zeros only."""
    if (cache := _caches.get(buffer)) is not None:
        cache.clear()


_clear_callback = layout.Clear(_clear_cache)  # kept for as long as the process lives: C holds only the pointer


@contextlib.contextmanager
def deferring(devices: Sequence[Device]) -> Iterator[Deferral]:
    """Within the block, what llama.cpp allocates on `devices` is deferred.

    One thread at a time, and only after `layout.check` succeeded. Nothing may be computed in a context that is created
    here before `allocate_scratch`, and `resize` of its cache.
    """
    deferral = Deferral([device.name for device in devices])
    by_type = {_type_of_device(device.pointer): device.name for device in devices}
    interfaces = {address: layout.BufferType.from_address(address).iface for address in by_type}
    originals = {address: interface.alloc_buffer for address, interface in interfaces.items()}
    frees: dict[int, int] = {}  # what frees a buffer, by its address

    def allocate(buffer_type: int, size_bytes: int) -> int | None:
        pointer: int | None = layout.AllocBuffer(originals[buffer_type])(buffer_type, _TINY_BYTES)
        if not pointer:
            return None
        buffer = layout.Buffer.from_address(pointer)
        buffer.size = size_bytes
        frees[pointer], inits[pointer] = buffer.iface.free_buffer, buffer.iface.init_tensor
        buffer.iface.free_buffer = ctypes.cast(free_callback, VOID)
        buffer.iface.init_tensor = ctypes.cast(init_callback, VOID)
        clears[pointer] = buffer.iface.clear
        buffer.iface.clear = ctypes.cast(_clear_callback, VOID)
        deferral.buffers[pointer] = _Deferred(by_type[buffer_type], buffer_type, size_bytes, {})
        return pointer

    def free(buffer: int) -> None:
        del deferral.buffers[buffer]
        layout.FreeBuffer(frees.pop(buffer))(buffer)

    def init(buffer: int, address: int) -> int:
        struct, deferred = layout.GgmlTensor.from_address(address), deferral.buffers[buffer]
        if struct.view_src is not None:
            if (source := deferred.tensors.get(struct.view_src)) is not None:
                source.views.append(address)
        elif struct.name.startswith(_CACHE):
            deferred.tensors[address] = DeviceTensor(deferred.device, deferred.buffer_type, address, [])
        return _SUCCESS

    clears: dict[int, int] = {}
    inits: dict[int, int | None] = {}
    free_callback, init_callback = layout.FreeBuffer(free), layout.InitTensor(init)
    callback = layout.AllocBuffer(allocate)
    for interface in interfaces.values():
        interface.alloc_buffer = ctypes.cast(callback, VOID)
    try:
        yield deferral
    finally:
        for address, interface in interfaces.items():
            interface.alloc_buffer = originals[address]
        for pointer, deferred in deferral.buffers.items():
            struct = layout.Buffer.from_address(pointer)
            # a worker's tensors are known by the function that frees their buffers
            struct.iface.free_buffer = frees[pointer]
            struct.iface.init_tensor = inits[pointer]
            if not deferred.tensors:
                struct.iface.clear = clears[pointer]
