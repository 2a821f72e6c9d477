"""Opening a store as a runner does, with real admission, and filling it as the engine does."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from swell.bench.errors import BenchError
from swell.bench.results import Setup
from swell.bench.text import token_at
from swell.cache import StoreKind
from swell.kv.admission import Admission
from swell.kv.base import KvStore
from swell.kv.copied import CopiedStore
from swell.kv.eager import EagerStore
from swell.kv.memory_admission import MemoryAdmission
from swell.kv.placed_store import PlacedStore
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.kv.selfcheck import reserved_refusal
from swell.llama import logs
from swell.llama.batch import Batch
from swell.llama.context import ContextShape
from swell.llama.model import LlamaModel
from swell.memory.ledger import Ledger
from swell.memory.probe import MemoryProbe
from swell.protocol.loading import BATCH_TOKENS
from swell.settings import Settings


@contextlib.contextmanager
def loaded(setup: Setup) -> Iterator[LlamaModel]:
    """The model, after the self-check if the store needs it, which forks. Raises BenchError if it is refused."""
    logs.route()
    if setup.kind is StoreKind.RESERVED and (refusal := reserved_refusal()):
        raise BenchError("the Reserved store", refusal)
    with LlamaModel(Path(setup.model)) as model:
        yield model


def real_admission() -> Admission:
    """Admission as in a server with default settings and one runner."""
    probe = MemoryProbe()
    headroom_bytes = Settings().kv_headroom.limit_bytes(probe.total_bytes())
    return MemoryAdmission(Ledger.create(1), 0, probe, budget_bytes=None, headroom_bytes=headroom_bytes)


def open_store(model: LlamaModel, setup: Setup, admission: Admission) -> KvStore:
    """Raises ContextError or KvLayoutError."""
    shape = ContextShape(cells=setup.window_tokens, slots=setup.slots, batch_tokens=BATCH_TOKENS, threads=setup.threads)
    policy = GrowthPolicy(
        initial_cells=setup.initial_tokens, block_cells=setup.block_tokens, max_cells=setup.window_tokens
    )
    match setup.kind:
        case StoreKind.RESERVED:
            return ReservedStore(model, shape, policy, admission)
        case StoreKind.PLACED:
            return PlacedStore(model, shape, policy, admission)
        case StoreKind.COPIED:
            return CopiedStore(model, shape, policy, admission)
        case StoreKind.EAGER:
            return EagerStore(model, shape, admission)


def read_batch(store: KvStore, batch: Batch, slot: int, end: int) -> None:
    """Compute the next batch of `slot`, not beyond `end` tokens; its cells must be prepared."""
    start = store.cells[slot].stored
    batch.clear()
    for position in range(start, min(start + BATCH_TOKENS, end)):
        batch.add(token_at(position), position, slot, wants_logits=False)
    store.context.decode(batch)
    store.advance(slot, batch.size)


def fill(store: KvStore, batch: Batch, slot: int, tokens: int) -> None:
    """Read on until `slot` holds `tokens`."""
    while (stored := store.cells[slot].stored) < tokens:
        store.prepare(slot, min(BATCH_TOKENS, tokens - stored))
        read_batch(store, batch, slot, tokens)
