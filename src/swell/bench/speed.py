"""Child process: decoding with the Reserved store, before and after it grew, against Eager at the same depth."""

import time

import msgspec

from swell.bench.child import answer
from swell.bench.results import BenchRun, SpeedRequest, SpeedResult
from swell.bench.stores import fill, loaded, open_store, real_admission
from swell.cache import StoreKind
from swell.kv.base import KvStore
from swell.llama.batch import Batch
from swell.protocol.loading import BATCH_TOKENS

_SLOT = 0
_TOKEN = 1


def measure(request: SpeedRequest) -> SpeedResult:
    """Both stores live in this process and take turns. Raises LlamaError, KvError or BenchError."""
    with loaded(request.setup) as model, Batch(BATCH_TOKENS) as batch:
        eager_setup = msgspec.structs.replace(request.setup, kind=StoreKind.EAGER)
        stores = [open_store(model, setup, real_admission()) for setup in (request.setup, eager_setup)]
        runs: list[BenchRun] = []
        for depth in (request.shallow_tokens, request.deep_tokens):
            growths = [_grow(store, batch, depth, request.steps) for store in stores]
            for repetition in range(request.repetitions):
                # whoever comes second finds other caches and another clock: take turns in that too
                order = (0, 1) if repetition % 2 == 0 else (1, 0)
                for index in order:
                    duration_s = _run(stores[index], batch, request.steps)
                    runs.append(BenchRun(stores[index].kind, depth, growths[index], duration_s))
        for store in stores:
            store.close()
        return SpeedResult(steps=request.steps, runs=runs)


def _grow(store: KvStore, batch: Batch, depth: int, steps: int) -> int:
    """Read up to `depth`, a batch at a time, and warm up; returns how often the grant grew so far."""
    while (stored := store.cells[_SLOT].stored) < depth:
        fill(store, batch, _SLOT, min(stored + BATCH_TOKENS, depth))
    _run(store, batch, steps)
    return -(-(store.cells[_SLOT].granted - store.policy.initial_cells) // store.policy.block_cells)


def _run(store: KvStore, batch: Batch, steps: int) -> float:
    """Decode `steps` single tokens, forget them again; returns the seconds of the first."""
    depth = store.cells[_SLOT].stored
    start = time.perf_counter()
    for position in range(depth, depth + steps):
        store.prepare(_SLOT, 1)
        batch.clear()
        batch.add(_TOKEN, position, _SLOT, wants_logits=True)
        store.context.decode(batch)
        store.advance(_SLOT, 1)
    duration_s = time.perf_counter() - start
    store.rewind(_SLOT, depth)
    return duration_s


if __name__ == "__main__":
    answer(SpeedRequest, measure)
