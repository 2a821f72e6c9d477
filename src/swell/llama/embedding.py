"""A context that turns whole texts into vectors, and keeps nothing of them."""

import array
import contextlib
import sys
from collections.abc import Sequence

from swell.errors import ContextError, DecodeError, NoEmbeddingsError
from swell.llama import logs
from swell.llama.batch import Batch
from swell.llama.device_quota import freeing, note_freed, noting_buffers
from swell.llama.handle import Handle
from swell.llama.library import api
from swell.llama.model import LlamaModel, taken_bytes
from swell.llama.reservation import Reservation, reserving
from swell.memory.resident import Pagemap

SEQUENCES_MAX = 32
"""How many texts are computed together, if they are short enough."""


class EmbeddingContext(Handle):
    """Computes up to `capacity` tokens of several texts at once, with the model's own way of pooling.

    An encoder looks at all tokens of a text together, so a batch is never split: logical and physical batch are equally
    large, and so are the cells of the models that need some.
    """

    def __init__(self, model: LlamaModel, capacity: int, threads: int, *, fused: bool, reserves: bool = False) -> None:
        """`fused` attention takes memory in proportion to `capacity` instead of its square, but sums in 16 bits: what
        else is in the batch then shows in the third digit of a vector (otherwise 1e-7, or 1e-4 where the model has
        GELU, which llama.cpp looks up by 16 bits). With `reserves`, host memory is only address space until something
        is computed; `swell.kv.selfcheck` must have approved of that.

        Raises ContextError, or NoEmbeddingsError for a model that doesn't give one vector per text.
        """
        parameters = api.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = capacity
        parameters.n_seq_max = SEQUENCES_MAX
        parameters.kv_unified = True  # one text may take all cells
        parameters.embeddings = True
        parameters.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_AUTO if fused else api.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.no_perf = True
        before = model.measure_taken()
        reserved = reserving() if reserves else contextlib.nullcontext(list[Reservation]())
        with noting_buffers() as buffers, reserved as self._reservations:
            pointer = api.llama_init_from_model(model.pointer, parameters)
            if not pointer:
                note_freed(buffers)
                raise ContextError(capacity, 1, logs.take_errors())
            super().__init__(pointer, freeing(api.llama_free, buffers))
            if api.llama_pooling_type(pointer) not in _POOLING:
                raise NoEmbeddingsError("the model")
            self.capacity = capacity
            self._memory = api.llama_get_memory(pointer)
            self._width: int = api.llama_model_n_embd_out(model.pointer)
            self._batch = Batch(capacity)
            if model.apply_adapters(pointer):
                self.embed([[0]])  # makes the memory to compute in, which llama.cpp would put off until the first text
        self.device_bytes = taken_bytes(before, model.measure_taken())
        """What it takes on each of the model's devices."""

    @property
    def has_cells(self) -> bool:
        """Whether the model keeps K and V; encoders do not."""
        return bool(self._memory)

    def use_threads(self, threads: int) -> None:
        """Compute with so many threads from the next `embed` on."""
        api.llama_set_n_threads(self.pointer, threads, threads)

    def embed(self, texts: Sequence[Sequence[int]]) -> list[bytes]:
        """The vectors of `texts`, in their order: float32, little endian.

        They must be at most SEQUENCES_MAX, none of them empty, and fit the capacity together. Raises DecodeError.
        """
        self._batch.clear()
        for index, tokens in enumerate(texts):
            for position, token in enumerate(tokens):
                self._batch.add(token, position, index, wants_logits=True)
        compute = api.llama_decode if self._memory else api.llama_encode
        code = compute(self.pointer, self._batch.struct)
        if code != 0:
            raise DecodeError(code, self._batch.size)
        vectors = [self._vector(index) for index in range(len(texts))]
        if self._memory:
            api.llama_memory_clear(self._memory, False)
        return vectors

    @property
    def reserved_bytes(self) -> int:
        """What it takes of host memory at most: cells, what it computes in, and a vector for every token."""
        return sum(one.size_bytes for one in self._reservations) + self.capacity * self._width * 4

    def resident_bytes(self) -> int:
        """How much of what is reserved is backed. Callable from any thread."""
        with Pagemap() as pagemap:
            return sum(pagemap.resident_bytes(one.address, one.size_bytes) for one in self._reservations)

    def close(self) -> None:
        super().close()
        self._batch.close()

    def _vector(self, sequence: int) -> bytes:
        vector = array.array("f", api.llama_get_embeddings_seq(self.pointer, sequence)[: self._width])
        if sys.byteorder == "big":
            vector.byteswap()
        return vector.tobytes()


_POOLING = (api.LLAMA_POOLING_TYPE_MEAN, api.LLAMA_POOLING_TYPE_CLS, api.LLAMA_POOLING_TYPE_LAST)
"""The others give a vector per token, or a rank and no vector at all."""
