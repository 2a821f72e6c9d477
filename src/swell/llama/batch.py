"""The tokens of one decoding step."""

from typing import Any

from swell.llama.handle import Handle
from swell.llama.library import api


class Batch(Handle):
    """Up to `capacity` tokens of any slots, in arrays that are reused from step to step."""

    def __init__(self, capacity: int) -> None:
        struct = api.llama_batch_init(capacity, 0, 1)
        super().__init__(struct, api.llama_batch_free)
        self.struct: Any = struct
        self.capacity = capacity
        struct.n_tokens = 0
        for index in range(capacity):
            struct.n_seq_id[index] = 1
        # looking an array up in the struct takes longer than writing into it
        self._tokens, self._positions, self._logits = struct.token, struct.pos, struct.logits
        self._sequence_ids = [struct.seq_id[index] for index in range(capacity)]
        self.size = 0
        """Tokens in the batch."""

    def clear(self) -> None:
        self.size = self.struct.n_tokens = 0

    def add(self, token: int, position: int, slot: int, *, wants_logits: bool) -> int:
        """Append a token; returns its index, by which its logits are found after decoding."""
        index = self.size
        self._tokens[index] = token
        self._positions[index] = position
        self._sequence_ids[index][0] = slot
        self._logits[index] = wants_logits
        self.size = self.struct.n_tokens = index + 1
        return index
