"""From a `Load` message to a model with its cache."""

import logging
from pathlib import Path

from swell.kv.choose import Chosen, open_store
from swell.kv.policy import GrowthPolicy, default_slots
from swell.llama.context import ContextShape
from swell.llama.model import Model
from swell.protocol.messages import Load, Loaded

log = logging.getLogger(__name__)


def load(order: Load, reserved_refusal: str | None) -> tuple[Model, Chosen]:
    """Load the weights and open the store; raises LlamaError."""
    model = Model(Path(order.path))
    trained = max(model.trained_tokens, 1)
    elastic = ContextShape(
        cells=trained,
        slots=order.slots or default_slots(trained),
        batch_tokens=order.batch_tokens,
        threads=order.threads,
    )
    eager = ContextShape(
        cells=min(order.eager_tokens or trained, trained),
        slots=order.slots or 1,
        batch_tokens=order.batch_tokens,
        threads=order.threads,
    )
    policy = GrowthPolicy(initial_cells=order.initial_tokens, block_cells=order.grow_tokens, max_cells=trained)
    chosen = open_store(
        model, elastic=elastic, eager=eager, policy=policy, dynamic=order.dynamic, reserved_refusal=reserved_refusal
    )
    log.info("%s: %s KV cache: %s", order.path, chosen.store.kind.value, chosen.reason)
    return model, chosen


def describe(model: Model, chosen: Chosen) -> Loaded:
    """What the server is told about the model."""
    vocabulary = model.vocabulary
    return Loaded(
        context_max=chosen.store.policy.max_cells,
        slots=chosen.store.context.slots,
        store=chosen.store.kind,
        store_reason=chosen.reason,
        add_bos=vocabulary.add_bos,
        add_eos=vocabulary.add_eos,
        bos_text=vocabulary.text(vocabulary.bos),
        eos_text=vocabulary.text(vocabulary.eos),
    )
