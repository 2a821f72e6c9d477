"""What caches put into the books, computed with the model of the self-check."""

from collections.abc import Callable, Iterator

import pytest
from tests.kv.admitting import admission_of
from tests.kv.driving import fill

from swell.kv import selfcheck
from swell.kv.base import KvStore
from swell.kv.copied import CopiedStore
from swell.kv.eager import EagerStore
from swell.kv.memory_admission import MemoryAdmission
from swell.kv.planes import Plane
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama import logs
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel
from swell.memory.ledger import Entry, Ledger

MB = 1_000_000
SHAPE = ContextShape(cells=256, slots=2, batch_tokens=256, threads=1)
POLICY = GrowthPolicy(initial_cells=16, block_cells=32, max_cells=256)


@pytest.fixture(scope="module")
def probe_model() -> Iterator[LlamaModel]:
    logs.route()
    with LlamaModel(selfcheck._PROBE) as loaded:
        yield loaded


def reserved(model: LlamaModel, own: MemoryAdmission) -> KvStore:
    return ReservedStore(model, SHAPE, POLICY, own)


def copied(model: LlamaModel, own: MemoryAdmission) -> KvStore:
    return CopiedStore(model, SHAPE, POLICY, own)


def eager(model: LlamaModel, own: MemoryAdmission) -> KvStore:
    return EagerStore(model, SHAPE, own)


STORES = (reserved, copied, eager)


@pytest.mark.parametrize("open_store", STORES)
def test_a_store_books_what_it_is_granted(
    probe_model: LlamaModel, ledger: Ledger, open_store: Callable[[LlamaModel, MemoryAdmission], KvStore]
) -> None:
    store = open_store(probe_model, admission_of(ledger, 100 * MB))
    fill(store, 1, 200)
    assert ledger.entry(0).granted_bytes == store.booked_bytes
    ledger.check()
    store.close()
    assert ledger.entry(0).granted_bytes == 0


@pytest.mark.parametrize("open_store", [reserved, copied])
def test_a_closed_store_leaves_nothing_in_the_books(
    probe_model: LlamaModel, ledger: Ledger, open_store: Callable[[LlamaModel, MemoryAdmission], KvStore]
) -> None:
    store = open_store(probe_model, admission_of(ledger, 100 * MB))
    fill(store, 1, 200)
    store.settle(1)
    store.close()
    assert ledger.entry(0) == Entry(0, 0)
    ledger.check()


@pytest.mark.parametrize("open_store", [copied, eager])
def test_memory_that_llama_fills_at_once_is_not_counted_as_promised_as_well(
    probe_model: LlamaModel, ledger: Ledger, open_store: Callable[[LlamaModel, MemoryAdmission], KvStore]
) -> None:
    """The system no longer says it is free; promised, too, it would be missing twice for every other runner."""
    store = open_store(probe_model, admission_of(ledger, 100 * MB))
    fill(store, 1, 100)
    left_bytes = ledger.spare_bytes(lambda: 0)
    store.close()
    assert left_bytes == 0


def test_what_is_free_for_a_moment_while_a_cache_moves_stays_promised(
    probe_model: LlamaModel, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, create, promised = copied(probe_model, admission_of(ledger, 100 * MB)), CopiedStore._create, list[int]()

    def create_and_look(self: CopiedStore, capacity: int) -> Context:
        promised.append(-ledger.spare_bytes(lambda: 0))
        return create(self, capacity)

    monkeypatch.setattr(CopiedStore, "_create", create_and_look)
    fill(store, 0, 200)
    fill(store, 1, 200)
    store.close()
    assert promised == [store.bytes_of(2 * SHAPE.cells)]


def test_memory_is_out_of_the_books_before_it_is_given_back(
    probe_model: LlamaModel, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it would look free and in use at once, and could be promised to another runner while it is granted."""
    store, give_back, used = reserved(probe_model, admission_of(ledger, 100 * MB)), Plane.give_back, set[int]()

    def look_and_give_back(self: Plane, slot: int, start: int, end: int) -> None:
        used.add(ledger.entry(0).used_bytes)
        give_back(self, slot, start, end)

    monkeypatch.setattr(Plane, "give_back", look_and_give_back)
    fill(store, 1, 200)
    store.rewind(1, 20)
    store.settle(1)
    store.close()
    assert used == {store.bytes_of(20)}
