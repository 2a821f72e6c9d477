"""A context: the KV cache of all slots, and the computation over it."""

import contextlib
import ctypes
import dataclasses
import mmap
import os
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from swell.cache import CacheType, FlashAttention
from swell.devices import KvPlace
from swell.errors import AbortedError, ContextError, DecodeError, NoRoomError, StateError
from swell.llama import logs, processor
from swell.llama.batch import Batch
from swell.llama.device_quota import freeing, note_freed, noting_buffers
from swell.llama.handle import Handle
from swell.llama.library import VOID, api
from swell.llama.model import LlamaModel, taken_bytes

_NO_ROOM, _ABORTED = 1, 2
_NO_GRAPHS = "LLAMA_GRAPH_REUSE_DISABLE"
_TYPES = {
    CacheType.F16: api.GGML_TYPE_F16,
    CacheType.Q8_0: api.GGML_TYPE_Q8_0,
    CacheType.Q4_0: api.GGML_TYPE_Q4_0,
}
_FLASH_ATTENTION = {
    FlashAttention.AUTO: api.LLAMA_FLASH_ATTN_TYPE_AUTO,
    FlashAttention.ON: api.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    FlashAttention.OFF: api.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}
_SPLITS_FROM = 256
"""Attention over 512 cells is split, and llama.cpp looks at cells in blocks of 256: so the 257th token is the first."""


class StatePart(IntEnum):
    """What of a slot's state is saved."""

    WHOLE = api.LLAMA_STATE_SEQ_FLAGS_NONE
    UNCUTTABLE = api.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY
    """Cells of layers with a sliding window, and states of recurrent ones."""


WritableBuffer = mmap.mmap | bytearray | memoryview
SavedCells = ctypes.Array[ctypes.c_uint8]
"""The cells of all slots, as llama.cpp writes them."""
_CELLS_MAX = 2**31 - 256  # n_ctx is an uint32, but positions are an int32


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContextShape:
    """What a context is created for: `slots` sequences, batches of up to `batch_tokens`.

    Every slot has a stream of `cells` of its own; if the cells are `shared`, all slots take theirs from one stream of
    `cells`.
    """

    cells: int
    slots: int
    batch_tokens: int
    threads: int
    shared: bool = False
    cache_type: CacheType = CacheType.F16
    flash_attention: FlashAttention = FlashAttention.AUTO

    @property
    def total_cells(self) -> int:
        return self.cells if self.shared else self.cells * self.slots


@contextlib.contextmanager
def keeping_no_graphs() -> Iterator[None]:
    """Contexts that are created within the block make a new graph for every batch."""
    before = os.environ.get(_NO_GRAPHS)
    os.environ[_NO_GRAPHS] = "1"
    try:
        yield
    finally:
        del os.environ[_NO_GRAPHS]
        if before is not None:
            os.environ[_NO_GRAPHS] = before


class Context(Handle):
    """Every slot is one sequence; no slot attends over another's cells."""

    def __init__(self, model: LlamaModel, shape: ContextShape) -> None:
        """Raises ContextError, for want of memory most of all."""
        if shape.total_cells > _CELLS_MAX:
            raise ContextError(shape.cells, shape.slots, f"llama.cpp counts only {_CELLS_MAX} cells")
        parameters = api.llama_context_default_params()
        parameters.n_ctx = shape.total_cells
        parameters.n_seq_max = shape.slots
        parameters.kv_unified = shape.shared
        parameters.swa_full = False  # layers with a sliding window keep just that
        parameters.type_k = parameters.type_v = _TYPES[shape.cache_type]
        parameters.flash_attn_type = _FLASH_ATTENTION[shape.flash_attention]
        parameters.n_batch = parameters.n_ubatch = shape.batch_tokens
        parameters.n_outputs_max = shape.slots  # logits are wanted for one token per slot; the default is n_batch rows
        parameters.n_threads = parameters.n_threads_batch = shape.threads
        parameters.offload_kqv = model.placement.kv is KvPlace.DEVICE
        parameters.no_perf = True
        before = model.measure_taken()
        backends: list[int] = []
        with noting_buffers() as buffers, processor.catching_backends(backends.append):
            pointer = api.llama_init_from_model(model.pointer, parameters)
        if not pointer:
            note_freed(buffers)
            raise ContextError(shape.cells, shape.slots, logs.take_errors())
        super().__init__(pointer, freeing(api.llama_free, buffers))
        self.model = model
        self.slots = shape.slots
        self.cells: int = api.llama_n_ctx_seq(pointer)
        self._threads = shape.threads
        splits_cells = shape.cache_type is CacheType.F16 and shape.flash_attention is not FlashAttention.OFF
        self._splitting_backends = tuple(backends) if splits_cells else ()
        self._splits_from = 0 if shape.shared else _SPLITS_FROM
        self._uses_reference = False
        self._has_moved = False
        self._memory: Any = api.llama_get_memory(pointer)
        # ggml asks the abort callback before every node of the graph, about a thousand times per token. A Python
        # callback would take the GIL each time; C's own strlen answers from this buffer: empty means go on.
        self._abort = ctypes.create_string_buffer(2)
        self._abort_callback = ctypes.cast(ctypes.CDLL(None).strlen, api.ggml_abort_callback)
        api.llama_set_abort_callback(pointer, self._abort_callback, ctypes.cast(self._abort, VOID))
        if model.apply_adapters(pointer):
            with noting_buffers() as more:
                self._make_scratch()
            buffers += more
        self.device_bytes = taken_bytes(before, model.measure_taken())
        """What it takes on each of the model's devices, as its driver counts it: K and V, and memory to compute in."""

    def _make_scratch(self) -> None:
        """Have the memory to compute in made now, which llama.cpp puts off until the first batch: here whoever creates
        the context sees to it where that lies, and measures it.
        """
        with Batch(1) as batch, contextlib.suppress(AbortedError):
            batch.add(0, 0, 0, wants_logits=True)
            self.request_abort()
            self.decode(batch)
        self._abort[0] = b"\0"
        api.llama_memory_clear(self._memory, False)

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from the next `decode` on. What comes out doesn't depend on it."""
        if threads != self._threads:
            api.llama_set_n_threads(self.pointer, threads, threads)
            self._threads = threads

    def decode(self, batch: Batch) -> None:
        """Compute `batch`; its cells are stored and the logits asked for can be sampled.

        Raises NoRoomError (nothing stored), AbortedError or DecodeError (a part of the batch may be stored: remove
        what must not stay).
        """
        if self._has_moved:
            self._renew_graph(batch)
        self._avoid_splitting(batch)
        code = api.llama_decode(self.pointer, batch.struct)
        if code == 0:
            return
        if code == _NO_ROOM:
            raise NoRoomError(code, batch.size)
        if code == _ABORTED:
            self._abort[0] = b"\0"
            logs.take_errors()  # it was asked for
            raise AbortedError(code, batch.size)
        raise DecodeError(code, batch.size)

    def note_move(self) -> None:
        """Say that K and V have moved on devices: what was prepared for the last batch must not be used again."""
        self._has_moved = True

    def _renew_graph(self, batch: Batch) -> None:
        """Have the next batch computed by a new graph. llama.cpp keeps the last one, in which tensors are where they
        were, for batches that look like that one.

        It keeps one for batches with outputs and one for those without, and uses again only what it has used last. So
        the first token of `batch` is begun twice, as one of either kind, and aborted.
        """
        struct, was_aborted = batch.struct, self._abort[0]
        slot, position = struct.seq_id[0][0], struct.pos[0]
        self.request_abort()
        for wants_logits in (True, False):
            with Batch(1) as first:
                first.add(struct.token[0], position, slot, wants_logits=wants_logits)
                api.llama_decode(self.pointer, first.struct)
            self.remove(slot, position)
        self._abort[0] = was_aborted
        logs.take_errors()  # it was asked for
        self._has_moved = False

    def _avoid_splitting(self, batch: Batch) -> None:
        """Have attention over one token computed head by head, whatever the number of threads (see `processor`)."""
        would_split = batch.size == 1 and batch.struct.pos[0] >= self._splits_from
        if would_split != self._uses_reference:
            self._uses_reference = would_split
            for backend in self._splitting_backends:
                processor.set_reference(backend, would_split)

    def wait(self) -> None:
        """Wait until devices have computed what was decoded."""
        api.llama_synchronize(self.pointer)

    def forget_all(self) -> None:
        """Forget the cells of all slots, and make the memory of their buffers zero."""
        api.llama_memory_clear(self._memory, True)

    def request_abort(self) -> None:
        """Make the `decode` that runs now, or the next one, raise AbortedError soon; callable from any thread."""
        self._abort[0] = b"x"

    def logits(self, batch_index: int) -> bytes:
        """The logits of the token at `batch_index` of the batch decoded last: a float32 per token of the vocabulary."""
        row = api.llama_get_logits_ith(self.pointer, batch_index)
        return ctypes.string_at(row, self.model.vocabulary.size * ctypes.sizeof(ctypes.c_float))

    def remove(self, slot: int, start: int, end: int = -1) -> bool:
        """Forget the cells of `slot` at positions from `start` up to `end` (-1: all after).

        False when this kind of memory can't forget just these; then nothing has changed.
        """
        return bool(api.llama_memory_seq_rm(self._memory, slot, start, end))

    def positions(self, slot: int) -> tuple[int, int]:
        """First and last position stored for `slot`, (-1, -1) when it is empty."""
        return (
            api.llama_memory_seq_pos_min(self._memory, slot),
            api.llama_memory_seq_pos_max(self._memory, slot),
        )

    def state_bytes(self, slot: int, part: StatePart = StatePart.WHOLE) -> int:
        """How much memory `save_state` takes."""
        return int(api.llama_state_seq_get_size_ext(self.pointer, slot, part))

    def save_state(self, slot: int, part: StatePart = StatePart.WHOLE) -> mmap.mmap:
        """The cells of `slot` as bytes. Holds no logits: decode at least one token after restoring.

        In memory that goes back to the system with the last reference to it, which malloc's may not. Raises StateError,
        and OSError where the system refuses the memory.
        """
        state = mmap.mmap(-1, self.state_bytes(slot, part))
        self.write_state(slot, state, part)
        return state

    def write_state(self, slot: int, buffer: WritableBuffer, part: StatePart = StatePart.WHOLE) -> None:
        """Write the cells of `slot` to `buffer`, which has `state_bytes` bytes. Raises StateError."""
        size = len(buffer)
        target = (ctypes.c_uint8 * size).from_buffer(buffer)
        written = api.llama_state_seq_get_data_ext(self.pointer, target, size, slot, part)
        del target  # the frame of an error would keep it, and with it the buffer
        if written != size:
            raise StateError(f"slot {slot}: {written} of {size} bytes were written")

    def save_all(self) -> SavedCells:
        """The cells of all slots. Raises StateError, and MemoryError where there is no memory for them."""
        size = api.llama_state_get_size(self.pointer)
        buffer: SavedCells = (ctypes.c_uint8 * size)()
        written = api.llama_state_get_data(self.pointer, buffer, size)
        if written != size:
            raise StateError(f"{written} of {size} bytes were written")
        return buffer

    def restore_all(self, data: SavedCells) -> None:
        """Put what `save_all` gave into this context, which may have more cells or fewer; raises StateError."""
        if api.llama_state_set_data(self.pointer, data, len(data)) != len(data):
            raise StateError(logs.take_errors())

    def restore_state(self, slot: int, data: WritableBuffer, part: StatePart = StatePart.WHOLE) -> None:
        """Put a saved state into `slot`, replacing what it holds; raises StateError and leaves the slot empty.

        Of a part only that is replaced; what else the slot holds after its tokens must be removed then.
        Needs a context with the same number of slots and the same cache types.
        """
        buffer = (ctypes.c_uint8 * len(data)).from_buffer(data)
        read = api.llama_state_seq_set_data_ext(self.pointer, buffer, len(data), slot, part)
        del buffer  # as in `write_state`
        if read != len(data):
            self.remove(slot, -1)
            raise StateError(f"slot {slot}: {logs.take_errors()}")
