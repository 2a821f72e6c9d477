"""Stores recount their books while they serve, and say what doesn't agree."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from tests.governing import fixed
from tests.kv.driving import fill
from tests.runner.harness import Harness

from swell.kv import selfcheck
from swell.kv.base import KvStore
from swell.kv.choose import Chosen
from swell.kv.copied import CopiedStore
from swell.kv.eager import EagerStore
from swell.kv.memory_admission import MemoryAdmission
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama import logs
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel
from swell.memory.ledger import Ledger
from swell.memory.probe import MemoryProbe
from swell.runner.stats import read_stats

SHAPE = ContextShape(cells=256, slots=2, batch_tokens=256, threads=1)
POLICY = GrowthPolicy(initial_cells=16, block_cells=32, max_cells=256)
Open = Callable[[LlamaModel, MemoryAdmission], KvStore]


@pytest.fixture(scope="module")
def probe_model() -> Iterator[LlamaModel]:
    logs.route()
    with LlamaModel(selfcheck._PROBE) as loaded:
        yield loaded


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with contextlib.closing(Ledger.create(1)) as created:
        yield created


def admission_of(ledger: Ledger) -> MemoryAdmission:
    return MemoryAdmission(ledger, 0, MemoryProbe(), budget_bytes=None, headroom_bytes=0)


def reserved(model: LlamaModel, own: MemoryAdmission) -> KvStore:
    return ReservedStore(model, SHAPE, POLICY, own)


def copied(model: LlamaModel, own: MemoryAdmission) -> KvStore:
    return CopiedStore(model, SHAPE, POLICY, own)


def eager(model: LlamaModel, own: MemoryAdmission) -> KvStore:
    return EagerStore(model, SHAPE, own)


@pytest.mark.parametrize("open_store", [reserved, copied, eager])
def test_the_books_agree_after_everything_a_store_does(
    probe_model: LlamaModel, ledger: Ledger, open_store: Open
) -> None:
    store = open_store(probe_model, admission_of(ledger))
    found = [store.check_integrity()]
    for step in (
        lambda: fill(store, 1, 200),
        lambda: store.copy(1, 0, [5] * 150),
        lambda: store.rewind(1, 20),
        lambda: store.settle(1),
        lambda: store.compact([0, 0]),
        lambda: store.ensure(1, 256),
    ):
        step()
        found.append(store.check_integrity())
    assert found == [[]] * 7
    store.close()
    assert ledger.total_granted_bytes() == 0


@pytest.mark.parametrize("open_store", [reserved, copied, eager])
def test_a_grant_of_which_the_store_knows_nothing_is_found(
    probe_model: LlamaModel, ledger: Ledger, open_store: Open
) -> None:
    store = open_store(probe_model, admission_of(ledger))
    booked_bytes = store.booked_bytes
    ledger.claim(0, 5, None)
    (fault,) = store.check_integrity()
    assert fault == f"admission has granted {booked_bytes + 5} bytes, and the cache claims {booked_bytes}"
    ledger.release(0, 5)
    store.close()


@pytest.mark.parametrize("open_store", [reserved, copied, eager])
def test_cells_that_nobody_has_paid_for_are_found(probe_model: LlamaModel, ledger: Ledger, open_store: Open) -> None:
    store = open_store(probe_model, admission_of(ledger))
    store.cells[0].granted = 250
    store.cells[1].granted = 250
    assert store.check_integrity() != []
    store.close()


def test_a_recount_while_a_cache_moves_finds_nothing(
    probe_model: LlamaModel, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server asks at any moment; the numbers agree again when the move has ended."""
    store, create, found = copied(probe_model, admission_of(ledger)), CopiedStore._create, list[list[str]]()

    def create_and_recount(self: CopiedStore, capacity: int) -> Context:
        found.extend((self._faults(), self.check_integrity()))
        return create(self, capacity)

    monkeypatch.setattr(CopiedStore, "_create", create_and_recount)
    fill(store, 0, 200)
    fill(store, 1, 200)
    in_the_move, said = found
    assert in_the_move != []
    assert said == store.check_integrity() == []
    store.close()


def test_whoever_asks_for_stats_is_told_what_is_wrong(model: LlamaModel) -> None:
    harness, use = Harness(model), fixed(1).use
    assert read_stats(1, model, Chosen(harness.store, ""), harness.engine, use).faults == []
    harness.store.cells[0].written = 65
    found = read_stats(1, model, Chosen(harness.store, ""), harness.engine, use).faults
    assert found == ["slot 0 has 0 cells stored, 65 written and 64 granted, of 1024"]
    harness.store.close()
