"""From the plan of a batch to its logits in llama.cpp's context."""

from collections.abc import Sequence
from typing import NamedTuple

from swell.errors import AbortedError, DecodeError
from swell.kv.base import KvStore
from swell.llama.batch import Batch
from swell.processors.governor import Governor
from swell.runner.counters import Counters
from swell.runner.planning import BatchPlan, SlotBatch


class Decoded(NamedTuple):
    """The parts of a batch that are computed, all or none, and the error where the batch can't be computed.

    A batch that was aborted has neither.
    """

    parts: list[SlotBatch]
    error: DecodeError | None


class Decoder:
    """Computes batches of up to `capacity` tokens over the slots of a store."""

    def __init__(self, store: KvStore, governor: Governor, counters: Counters, capacity: int) -> None:
        self.capacity = capacity
        self._store = store
        self._governor = governor
        self._counters = counters
        self._batch = Batch(capacity)

    def decode(self, planned: BatchPlan) -> Decoded:
        """Compute a batch, whose cells must be granted. Afterwards the context has the logits that the plan asks for.

        After an abort the slots are as they were. After an error they have nothing stored.
        """
        parts = planned.parts
        if not parts:
            return Decoded([], None)
        self._fill(parts)
        context = self._store.context
        context.use_threads(self._governor.threads_for_step([part.request.threads for part in parts]))
        try:
            context.decode(self._batch)
        except AbortedError:
            for part in parts:  # some cells may be stored already; they are computed again
                self._store.rewind(part.slot.index, part.start)
            return Decoded([], None)
        except DecodeError as error:
            for part in parts:
                self._store.rewind(part.slot.index, 0)
            return Decoded([], error)
        tokens = 0
        for part in parts:
            self._store.advance(part.slot.index, part.size)
            tokens += part.size
        self._counters.batch_computed(tokens)
        return Decoded(parts, None)

    def _fill(self, parts: Sequence[SlotBatch]) -> None:
        """Write the tokens of all parts into llama.cpp's batch, each at the place that the plan says."""
        self._batch.clear()
        for part in parts:
            slot, end = part.slot, part.start + part.size
            self._store.prepare(slot.index, part.size)
            last = None if part.logits_index is None else end - 1
            for position in range(part.start, end):
                self._batch.add(slot.tokens[position], position, slot.index, wants_logits=position == last)
