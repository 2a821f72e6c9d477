"""Memory for texts that are too long for the context that short ones share."""

from swell.errors import KvGrowError
from swell.kv.admission import Admission
from swell.llama.embedding import EmbeddingContext
from swell.llama.model import LlamaModel


class LongTexts:
    """One context, made when a text needs it and freed when its request is done.

    Its memory must be admitted as the growth of a cache must: its cells, if the model has any, and compute buffers.
    """

    def __init__(
        self, model: LlamaModel, admission: Admission, *, context_max: int, cell_bytes: int, reserves: bool
    ) -> None:
        """With `reserves` its memory is only address space until it is written. A token's cell takes `cell_bytes`."""
        self._model = model
        self._admission = admission
        self._context_max = context_max
        self._cell_bytes = cell_bytes
        self._reserves = reserves
        self._context: EmbeddingContext | None = None
        self.granted_bytes = 0

    @property
    def resident_bytes(self) -> int:
        """How many of the granted bytes are backed by physical memory. Callable from any thread."""
        context = self._context
        if context is None or not self._reserves:
            return self.granted_bytes
        return min(context.resident_bytes(), self.granted_bytes)

    def open(self, tokens: int, threads: int) -> EmbeddingContext:
        """A context for at least `tokens`; raises KvGrowError if memory forbids it, or ContextError."""
        if self._context is None or self._context.capacity < tokens:
            self.close()
            capacity = min(1 << (tokens - 1).bit_length(), self._context_max)
            try:
                if not self._reserves:
                    self._claim(capacity, self._estimate(capacity))
                self._context = EmbeddingContext(self._model, capacity, threads, fused=True, reserves=self._reserves)
                if self._reserves:  # now its size is known, and nothing is written yet
                    self._claim(capacity, self._context.reserved_bytes)
            except BaseException:
                self.close()
                raise
        return self._context

    def note(self) -> None:
        """Note in the books how much has been written."""
        self._admission.note(self.resident_bytes, 0)

    def close(self) -> None:
        """Free the context, and then take its memory out of the books. Does nothing if there is none."""
        context, self._context = self._context, None
        if context is not None:
            context.close()
        if self.granted_bytes:
            self._admission.note(0, 0)
            self._admission.release(self.granted_bytes)
            self.granted_bytes = 0

    def _claim(self, capacity: int, needed_bytes: int) -> None:
        refusal = self._admission.claim(needed_bytes)
        if refusal is not None:
            raise KvGrowError(
                from_cells=0,
                to_cells=capacity,
                max_cells=self._context_max,
                needed_bytes=needed_bytes,
                free_bytes=refusal.free_bytes,
            )
        self.granted_bytes = needed_bytes

    def _estimate(self, capacity: int) -> int:
        """Bytes that a context of `capacity` tokens takes, where llama.cpp can't be asked: its cells, a few rows per
        token, and the attention mask. Rather too much: 2.5 times what is needed, measured on a small encoder.
        """
        architecture = self._model.metadata("general.architecture")
        embedding = int(self._model.metadata(f"{architecture}.embedding_length") or 0)
        wide = int(self._model.metadata(f"{architecture}.feed_forward_length") or 0)
        rows = capacity * 4 * (8 * embedding + 3 * wide)
        return self._cell_bytes * capacity + rows + 6 * capacity * capacity
