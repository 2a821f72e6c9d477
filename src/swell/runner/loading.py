"""From a `Load` message to a model with its cache."""

import dataclasses
import logging
from pathlib import Path

from swell.kv.admission import Admission
from swell.kv.choose import Chosen, Wish, open_store
from swell.kv.gate import Gate
from swell.kv.policy import GrowthPolicy, default_slots
from swell.llama.context import ContextShape
from swell.llama.model import Model
from swell.memory.ledger import Ledger
from swell.memory.probe import MemoryProbe
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
        cache_type=order.cache_type,
        flash_attention=order.flash_attention,
    )
    wish = Wish(
        kind=order.store,
        elastic=elastic,
        eager=dataclasses.replace(elastic, cells=min(order.eager_tokens or trained, trained), slots=order.slots or 1),
        policy=GrowthPolicy(initial_cells=order.initial_tokens, block_cells=order.grow_tokens, max_cells=trained),
        reserved_refusal=reserved_refusal,
    )
    chosen = open_store(model, wish, _gate(order))
    log.info("%s: %s KV cache: %s", order.path, chosen.store.kind.value, chosen.reason)
    return model, chosen


def _gate(order: Load) -> Gate:
    return Admission(
        Ledger.open(order.ledger_fd),
        order.ledger_entry,
        MemoryProbe(),
        budget_bytes=order.budget_bytes,
        headroom_bytes=order.headroom_bytes,
    )


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
