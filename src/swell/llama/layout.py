"""llama.cpp's internal structs, as far as the Reserved store must know them, and the check that they are so.

Mirrors of `ggml-backend-impl.h` and `ggml.h` of the source that llama-cpp-python vendors. They are not a public
interface: `check` compares them with what exported functions say, and whoever uses them must call it first.
"""

import ctypes
from typing import Any

from swell.errors import KvLayoutError
from swell.llama.library import VOID, function

_SIZE = ctypes.c_size_t


class BufferTypeInterface(ctypes.Structure):
    """`struct ggml_backend_buffer_type_i`"""

    _fields_ = [
        (name, VOID)
        for name in ("get_name", "alloc_buffer", "get_alignment", "get_max_size", "get_alloc_size", "is_host")
    ]


class BufferType(ctypes.Structure):
    """`struct ggml_backend_buffer_type`"""

    _fields_ = [("iface", BufferTypeInterface), ("device", VOID), ("context", VOID)]


class BufferInterface(ctypes.Structure):
    """`struct ggml_backend_buffer_i`"""

    _fields_ = [
        (name, VOID)
        for name in (
            "free_buffer",
            "get_base",
            "init_tensor",
            "memset_tensor",
            "set_tensor",
            "get_tensor",
            "set_tensor_2d",
            "get_tensor_2d",
            "cpy_tensor",
            "clear",
            "reset",
        )
    ]


class Buffer(ctypes.Structure):
    """`struct ggml_backend_buffer`"""

    _fields_ = [("iface", BufferInterface), ("buft", VOID), ("context", VOID), ("size", _SIZE), ("usage", ctypes.c_int)]


_DEVICE_FUNCTIONS = ("get_name", "get_description", "get_memory", "get_type", "get_props", "init_backend")


class DeviceInterface(ctypes.Structure):
    """`struct ggml_backend_device_i`, its beginning"""

    _fields_ = [
        (name, VOID) for name in ("get_name", "get_description", "get_memory", "get_type", "get_props", "init_backend")
    ]


_BACKEND_FUNCTIONS = (
    "get_name",
    "free",
    "set_tensor_async",
    "get_tensor_async",
    "set_tensor_2d_async",
    "get_tensor_2d_async",
    "cpy_tensor_async",
    "synchronize",
    "graph_plan_create",
    "graph_plan_free",
    "graph_plan_update",
    "graph_plan_compute",
    "graph_compute",
    "event_record",
    "event_wait",
    "graph_optimize",
)


class BackendInterface(ctypes.Structure):
    """`struct ggml_backend_i`"""

    _fields_ = [(name, VOID) for name in _BACKEND_FUNCTIONS]


class GgmlBackend(ctypes.Structure):
    """`struct ggml_backend`"""

    _fields_ = [("guid", VOID), ("iface", BackendInterface), ("device", VOID), ("context", VOID)]


class GgmlTensor(ctypes.Structure):
    """`struct ggml_tensor`"""

    _fields_ = [
        ("type", ctypes.c_int),
        ("buffer", VOID),
        ("ne", ctypes.c_int64 * 4),
        ("nb", _SIZE * 4),
        ("op", ctypes.c_int),
        ("op_params", ctypes.c_int32 * 16),
        ("flags", ctypes.c_int32),
        ("src", VOID * 10),
        ("view_src", VOID),
        ("view_offs", _SIZE),
        ("data", VOID),
        ("name", ctypes.c_char * 64),
        ("extra", VOID),
        ("padding", ctypes.c_char * 8),
    ]


class InitParameters(ctypes.Structure):
    """`struct ggml_init_params`"""

    _fields_ = [("mem_size", _SIZE), ("mem_buffer", VOID), ("no_alloc", ctypes.c_bool)]


AllocBuffer = ctypes.CFUNCTYPE(VOID, VOID, _SIZE)
FreeBuffer = ctypes.CFUNCTYPE(None, VOID)
InitTensor = ctypes.CFUNCTYPE(ctypes.c_int, VOID, VOID)
Clear = ctypes.CFUNCTYPE(None, VOID, ctypes.c_uint8)
GetMemory = ctypes.CFUNCTYPE(None, VOID, ctypes.POINTER(_SIZE), ctypes.POINTER(_SIZE))
GraphCompute = ctypes.CFUNCTYPE(ctypes.c_int, VOID, VOID)
InitBackend = ctypes.CFUNCTYPE(VOID, VOID, ctypes.c_char_p)
_GetType = ctypes.CFUNCTYPE(ctypes.c_int, VOID)
_GetName = ctypes.CFUNCTYPE(ctypes.c_char_p, VOID)
_GetSize = ctypes.CFUNCTYPE(_SIZE, VOID)
_GetBase = ctypes.CFUNCTYPE(VOID, VOID)
_IsHost = ctypes.CFUNCTYPE(ctypes.c_bool, VOID)

cpu_buffer_type = function("ggml_backend_cpu_buffer_type", [], VOID)
buffer_from_pointer = function("ggml_backend_cpu_buffer_from_ptr", [VOID, _SIZE], VOID)
_type_name = function("ggml_backend_buft_name", [VOID], ctypes.c_char_p)
_type_alignment = function("ggml_backend_buft_get_alignment", [VOID], _SIZE)
_type_alloc = function("ggml_backend_buft_alloc_buffer", [VOID, _SIZE], VOID)
_buffer_base = function("ggml_backend_buffer_get_base", [VOID], VOID)
_buffer_size = function("ggml_backend_buffer_get_size", [VOID], _SIZE)
_buffer_type = function("ggml_backend_buffer_get_type", [VOID], VOID)
_buffer_set_usage = function("ggml_backend_buffer_set_usage", [VOID, ctypes.c_int], None)
_buffer_free = function("ggml_backend_buffer_free", [VOID], None)
_init = function("ggml_init", [InitParameters], VOID)
_free = function("ggml_free", [VOID], None)
_device_name = function("ggml_backend_dev_name", [VOID], ctypes.c_char_p)
_device_memory = function("ggml_backend_dev_memory", [VOID, ctypes.POINTER(_SIZE), ctypes.POINTER(_SIZE)], None)
_backend_name = function("ggml_backend_name", [VOID], ctypes.c_char_p)
_backend_device = function("ggml_backend_get_device", [VOID], VOID)
_device_type = function("ggml_backend_dev_type", [VOID], ctypes.c_int)
_tensor_overhead = function("ggml_tensor_overhead", [], _SIZE)
_new_tensor = function("ggml_new_tensor_3d", [VOID, ctypes.c_int, *[ctypes.c_int64] * 3], VOID)
_flash_attention = function("ggml_flash_attn_ext", [*[VOID] * 5, *[ctypes.c_float] * 3], VOID)
_set_name = function("ggml_set_name", [VOID, ctypes.c_char_p], VOID)

_OBJECT_BYTES = 32  # sizeof(struct ggml_object), which ggml_tensor_overhead adds to the tensor itself
_F16 = 1
_USAGE_COMPUTE = 2


def check() -> None:
    """Compare the mirrors with what exported functions return; raises KvLayoutError at the first difference.

    A pointer is called only after it was seen to lie in the library's code. Even so a wrong layout may crash: run
    this where a crash is survived (`swell.kv.selfcheck` does, in a child process).
    """
    address = cpu_buffer_type()
    buffer_type = BufferType.from_address(address)
    interface = buffer_type.iface
    code = _executable_ranges()
    for name in ("get_name", "alloc_buffer", "get_alignment", "is_host"):
        pointer = getattr(interface, name)
        _expect(f"{name} points into code", any(start <= (pointer or 0) < end for start, end in code), True)
    _expect("get_name", _GetName(interface.get_name)(address), _type_name(address))
    _expect("get_alignment", _GetSize(interface.get_alignment)(address), _type_alignment(address))
    _expect("is_host", _IsHost(interface.is_host)(address), True)
    _check_buffer(address, _type_alloc(address, 8192), 8192, code)
    memory = ctypes.create_string_buffer(8192 + 64)
    aligned = (ctypes.addressof(memory) + 63) & ~63
    borrowed = buffer_from_pointer(aligned, 8192)
    _expect("base of borrowed memory", Buffer.from_address(borrowed).context, aligned)
    _check_buffer(_buffer_type(borrowed), borrowed, 8192, code)
    _check_tensor()


def check_device(address: int) -> None:
    """Compare the mirror of a device as `check` does those of buffers; raises KvLayoutError."""
    interface = DeviceInterface.from_address(address)
    code = _executable_ranges()
    for name in _DEVICE_FUNCTIONS:
        pointer = getattr(interface, name)
        _expect(f"{name} points into code", any(start <= (pointer or 0) < end for start, end in code), True)
    _expect("get_name", _GetName(interface.get_name)(address), _device_name(address))
    _expect("get_type", _GetType(interface.get_type)(address), _device_type(address))
    numbers = [_SIZE() for _ in range(4)]
    GetMemory(interface.get_memory)(address, *numbers[:2])
    _device_memory(address, *numbers[2:])
    _expect("total memory", numbers[1].value, numbers[3].value)


def check_backend(address: int) -> None:
    """Compare the mirror of a backend as `check` does those of buffers; raises KvLayoutError."""
    backend = GgmlBackend.from_address(address)
    code = _executable_ranges()
    for name in ("get_name", "free", "graph_compute"):
        pointer = getattr(backend.iface, name)
        _expect(f"{name} points into code", any(start <= (pointer or 0) < end for start, end in code), True)
    _expect("get_name", _GetName(backend.iface.get_name)(address), _backend_name(address))
    _expect("backend.device", backend.device, _backend_device(address))


def _check_buffer(buffer_type: int, address: int, size_bytes: int, code: list[tuple[int, int]]) -> None:
    buffer = Buffer.from_address(address)
    _expect("buffer.buft", buffer.buft, buffer_type)
    _expect("buffer.size", buffer.size, _buffer_size(address))
    _expect("buffer.size", buffer.size, size_bytes)
    get_base = buffer.iface.get_base
    _expect("get_base points into code", any(start <= (get_base or 0) < end for start, end in code), True)
    _expect("get_base", _GetBase(get_base)(address), _buffer_base(address))
    _expect("init_tensor", buffer.iface.init_tensor, None)
    _buffer_set_usage(address, _USAGE_COMPUTE)
    _expect("buffer.usage", buffer.usage, _USAGE_COMPUTE)
    _buffer_free(address)


def _check_tensor() -> None:
    overhead = _tensor_overhead()
    _expect("size of a tensor", ctypes.sizeof(GgmlTensor), overhead - _OBJECT_BYTES)
    context = _init(InitParameters(4 * overhead, None, True))
    address = _new_tensor(context, _F16, 32, 5, 3)
    _set_name(address, b"cache_k_l7")
    tensor = GgmlTensor.from_address(address)
    _expect("tensor.type", tensor.type, _F16)
    _expect("tensor.ne", list(tensor.ne), [32, 5, 3, 1])
    _expect("tensor.nb", list(tensor.nb), [2, 64, 320, 960])
    _expect("tensor.name", tensor.name, b"cache_k_l7")
    _expect("tensor.data", tensor.data, None)
    _free(context)


def operation_of_attention() -> int:
    """The number that a tensor of flash attention has as its `op`."""
    context = _init(InitParameters(8 * _tensor_overhead(), None, True))
    query, key, value = (_new_tensor(context, _F16, 32, cells, 1) for cells in (1, 32, 32))
    operation = int(GgmlTensor.from_address(_flash_attention(context, query, key, value, None, 1, 0, 0)).op)
    _free(context)
    return operation


def _executable_ranges() -> list[tuple[int, int]]:
    """Address ranges of mapped code."""
    ranges = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, permissions = line.split(maxsplit=2)[:2]
            if "x" in permissions:
                start, end = span.split("-")
                ranges.append((int(start, 16), int(end, 16)))
    return ranges


def _expect(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise KvLayoutError(f"{what} is {found!r}, not {expected!r}")
