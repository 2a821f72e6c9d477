"""Child process: memory of one store as its slots fill and shrink."""

import time

from swell.bench.child import answer
from swell.bench.footprint import footprint
from swell.bench.results import MemoryStage, Stage, WasteRequest, WasteResult
from swell.bench.stores import fill, loaded, open_store, real_admission
from swell.cache import CacheType
from swell.kv.base import KvStore
from swell.llama.batch import Batch
from swell.protocol.loading import BATCH_TOKENS


def measure(request: WasteRequest) -> WasteResult:
    """Raises LlamaError, KvError or BenchError."""
    with loaded(request.setup) as model:
        admission = real_admission()
        before = footprint()
        start = time.perf_counter()
        store = open_store(model, request.setup, admission)
        creation_s = time.perf_counter() - start
        created = footprint()
        created_kv = store.measure().resident
        stages = _stages(store, request.token_counts)
        store.close()
        return WasteResult(
            creation_s=creation_s,
            cell_bytes=model.kv_cell_bytes(CacheType.F16),
            before=before,
            created=created,
            created_kv_resident_bytes=created_kv,
            stages=stages,
        )


def _stages(store: KvStore, token_counts: list[int]) -> list[MemoryStage]:
    if not token_counts:
        return []
    slots = range(len(store.cells))
    stages = []
    with Batch(BATCH_TOKENS) as batch:
        for tokens in token_counts:
            start = time.perf_counter()
            for slot in slots:
                fill(store, batch, slot, tokens)
            stages.append(_stage(store, Stage.GROWN, tokens, start))
    released = len(slots) // 2
    if released:
        stages.append(_shrink(store, Stage.RELEASED, token_counts[-1], dict.fromkeys(slots[:released], 0)))
    quarter = token_counts[-1] // 4
    stages.append(_shrink(store, Stage.SHRUNK, quarter, dict.fromkeys(slots[released:], quarter)))
    return stages


def _shrink(store: KvStore, stage: Stage, tokens: int, kept: dict[int, int]) -> MemoryStage:
    """Cut slots to what is `kept` of them and give back the rest, as the engine does when memory is wanted."""
    start = time.perf_counter()
    for slot, keep in kept.items():
        store.rewind(slot, keep)
    store.compact([cells.stored for cells in store.cells])
    return _stage(store, stage, tokens, start)


def _stage(store: KvStore, stage: Stage, tokens: int, start: float) -> MemoryStage:
    duration_s = time.perf_counter() - start
    kv = store.measure()
    return MemoryStage(
        stage=stage,
        tokens=tokens,
        used_tokens=sum(cells.stored for cells in store.cells),
        duration_s=duration_s,
        process=footprint(),
        kv_resident_bytes=kv.resident,
        kv_granted_bytes=kv.granted,
    )


if __name__ == "__main__":
    answer(WasteRequest, measure)
