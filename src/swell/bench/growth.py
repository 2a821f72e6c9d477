"""Child process: what a growth costs the step it happens in."""

import time

from swell.bench.child import answer
from swell.bench.results import BenchStep, Growth, GrowthRequest, GrowthResult
from swell.bench.stores import fill, loaded, open_store, read_batch, real_admission
from swell.kv.base import KvStore
from swell.llama.batch import Batch
from swell.llama.model import LlamaModel
from swell.llama.sampler import Sampler
from swell.protocol.loading import BATCH_TOKENS
from swell.sampling import Sampling

_SLOT = 0
_WARM_UP_STEPS = 8


def measure(request: GrowthRequest) -> GrowthResult:
    """Raises LlamaError, KvError or BenchError."""
    with loaded(request.setup) as model, Batch(BATCH_TOKENS) as batch:
        store = open_store(model, request.setup, real_admission())
        fill(store, batch, _SLOT, max(1, request.setup.initial_tokens - _WARM_UP_STEPS))
        steps = _generate(store, model, batch, request.growths)
        reading = _read(store, batch, request.deep_tokens)
        bare = _grow(store)
        store.close()
        return GrowthResult(steps=steps, reading=reading, bare=bare)


def _generate(store: KvStore, model: LlamaModel, batch: Batch, growths: int) -> list[BenchStep]:
    """Single tokens, as an answer is generated."""
    steps: list[BenchStep] = []
    token, grown = 1, 0
    with Sampler(model.vocabulary, Sampling(seed=0, temperature=0)) as sampler:
        while grown < growths and store.cells[_SLOT].stored < store.policy.max_cells:
            depth, granted, context = store.cells[_SLOT].stored, store.cells[_SLOT].granted, store.context
            start, processor = time.perf_counter(), time.thread_time()
            store.prepare(_SLOT, 1)
            prepared, processor_s = time.perf_counter(), time.thread_time() - processor
            batch.clear()
            index = batch.add(token, depth, _SLOT, wants_logits=True)
            store.context.decode(batch)
            token = sampler.sample(store.context, index)
            store.advance(_SLOT, 1)
            end = time.perf_counter()
            has_grown = store.cells[_SLOT].granted > granted
            has_moved = store.context is not context
            steps.append(BenchStep(depth, end - start, prepared - start, processor_s, has_grown, has_moved))
            grown += has_grown
    return steps


def _read(store: KvStore, batch: Batch, tokens: int) -> list[Growth]:
    """Whole batches, as a prompt is read: gets deep soon, so that there is something to copy."""
    growths: list[Growth] = []
    while (stored := store.cells[_SLOT].stored) < tokens:
        if (end := min(stored + BATCH_TOKENS, tokens)) > store.cells[_SLOT].granted:
            growths.append(_timed_ensure(store, end))
        store.prepare(_SLOT, min(BATCH_TOKENS, tokens - stored))
        read_batch(store, batch, _SLOT, tokens)
    return growths


def _grow(store: KvStore) -> list[Growth]:
    """A block at a time up to the whole window, with nothing decoded in between."""
    growths: list[Growth] = []
    while (granted := store.cells[_SLOT].granted) < store.policy.max_cells:
        growths.append(_timed_ensure(store, granted + 1))
    return growths


def _timed_ensure(store: KvStore, cells: int) -> Growth:
    context = store.context
    start, processor = time.perf_counter(), time.thread_time()
    store.ensure(_SLOT, cells)
    ensure_s, processor_s = time.perf_counter() - start, time.thread_time() - processor
    return Growth(store.cells[_SLOT].stored, ensure_s, processor_s, store.context is not context)


if __name__ == "__main__":
    answer(GrowthRequest, measure)
