"""What a model will take of host memory before it is loaded, and what such estimates have learnt from loads."""

import dataclasses

from swell.cache import CacheType
from swell.kv.policy import CELL_BOOKKEEPING_BYTES
from swell.models.model import Model
from swell.scheduler.cells import cell_bytes, context_max
from swell.scheduler.placement.planner import PlacementPlan

PROCESS_BYTES = 32 << 20
"""A runner with a model of next to no size: Python and llama.cpp, shared libraries included (measured: 32.3 MB)."""
TOKEN_BYTES = 300
"""Per token of the vocabulary: text, tables and merges (measured: 49,152 take 15 MB)."""
_ACTIVATION_BYTES = 4
_WIDTHS = 8  # of the residual stream, and
_FEED_FORWARDS = 3  # of the wide layer, that a batch's graph holds at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Bytes of memory: weights and adapters, the cache at its first grant, and everything else that a runner takes."""

    weights_bytes: int
    kv_bytes: int
    other_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.other_bytes

    def beside(self, plan: PlacementPlan, layers: int) -> "MemoryEstimate":
        """What is left for host memory of a model of `layers` layers, if it is placed by `plan`."""
        on_devices = sum(taken.weights for taken in plan.devices.values())
        kv_share = 1 - sum(plan.placement.kv_shares(layers).values())
        return dataclasses.replace(
            self, weights_bytes=max(0, self.weights_bytes - on_devices), kv_bytes=round(self.kv_bytes * kv_share)
        )


def estimate(
    model: Model, *, slots: int, batch_tokens: int, initial_tokens: int, cache_type: CacheType
) -> MemoryEstimate:
    """What `model` will take by its header. One slot's first grant counts: a load succeeds without that of others."""
    window = context_max(model)
    batch = batch_tokens * _ACTIVATION_BYTES
    compute = batch * (_WIDTHS * model.embedding_length + _FEED_FORWARDS * model.number("feed_forward_length"))
    logits = slots * model.vocabulary_tokens * _ACTIVATION_BYTES
    vocabulary = model.vocabulary_tokens * TOKEN_BYTES
    bookkeeping = slots * window * CELL_BOOKKEEPING_BYTES
    is_cached = "embedding" not in model.capabilities
    return MemoryEstimate(
        weights_bytes=sum(file.data_bytes for file in model.files),
        kv_bytes=min(initial_tokens, window) * cell_bytes(model, cache_type) if is_cached else 0,
        other_bytes=PROCESS_BYTES + vocabulary + compute + logits + (bookkeeping if is_cached else 0),
    )


@dataclasses.dataclass
class MemoryEstimator:
    """What runners really took: it replaces the estimate for the same model (`Model.key`) and scales all others."""

    _others: dict[str, int] = dataclasses.field(default_factory=dict)
    _ratio: float = 1.0

    def note(self, key: str, estimated: MemoryEstimate, other_bytes: int) -> None:
        """A runner of the model `key` takes `other_bytes` beside weights and cache; the largest amount counts."""
        if other_bytes <= self._others.get(key, 0):
            return
        self._others[key] = other_bytes
        ratio = other_bytes / max(estimated.other_bytes, 1)
        self._ratio += (min(max(ratio, _RATIOS[0]), _RATIOS[1]) - self._ratio) * _LEARNING_RATE

    def correct(self, key: str, estimated: MemoryEstimate) -> MemoryEstimate:
        """`estimated`, corrected by what runners really took."""
        known = self._others.get(key)
        other = round(estimated.other_bytes * self._ratio) if known is None else known
        return dataclasses.replace(estimated, other_bytes=other)


_RATIOS = (0.5, 2.0)  # a single odd model must not spoil the estimates for all others
_LEARNING_RATE = 0.3
