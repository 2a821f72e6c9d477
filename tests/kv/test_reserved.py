"""The Reserved store on the real model: what it holds, what it costs, and that it computes the same."""

import ctypes
import dataclasses
import faulthandler
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swell.cache import StoreKind
from swell.errors import KvLayoutError
from swell.kv import selfcheck
from swell.kv.choose import Wish, open_store
from swell.kv.eager import EagerStore
from swell.kv.gate import OpenGate
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.kv.store import KvStore
from swell.llama import layout
from swell.llama.batch import Batch
from swell.llama.context import ContextShape
from swell.llama.model import Model
from swell.llama.sampler import Sampler
from swell.memory.resident import process_resident_bytes
from swell.sampling import Sampling

CELL_BYTES = 23_040
SHAPE = ContextShape(cells=2048, slots=4, batch_tokens=256, threads=2)
POLICY = GrowthPolicy(initial_cells=256, block_cells=128, max_cells=2048)


@pytest.fixture
def store(model: Model) -> Iterator[ReservedStore]:
    assert selfcheck.reserved_refusal() is None
    opened = ReservedStore(model, SHAPE, POLICY, OpenGate())
    yield opened
    opened.close()


def fill(store: KvStore, slot: int, cells: int) -> None:
    """Write `cells` cells of `slot`, as the engine would."""
    with Batch(SHAPE.batch_tokens) as batch:
        for start in range(0, cells, SHAPE.batch_tokens):
            batch.clear()
            for position in range(start, min(start + SHAPE.batch_tokens, cells)):
                batch.add(100 + position % 1000, position, slot, wants_logits=False)
            store.prepare(slot, batch.size)
            store.context.decode(batch)
            store.advance(slot, batch.size)


def test_reserves_everything_and_holds_next_to_nothing(model: Model) -> None:
    before = process_resident_bytes()
    store = ReservedStore(model, SHAPE, POLICY, OpenGate())
    kv = store.measure()
    store.close()
    assert kv.reserved == CELL_BYTES * SHAPE.cells * SHAPE.slots
    assert kv.granted == CELL_BYTES * 256 * SHAPE.slots
    assert kv.resident == 0
    assert process_resident_bytes() - before < 15 << 20


def test_memory_follows_the_cells_that_are_written(store: ReservedStore) -> None:
    fill(store, slot=2, cells=600)
    kv = store.measure()
    assert [cells.granted for cells in store.cells] == [256, 256, 640, 256]
    assert kv.granted == CELL_BYTES * (640 + 3 * 256)
    assert 1.0 <= kv.resident / (CELL_BYTES * 600) < 1.04


def test_closing_gives_all_memory_back(model: Model) -> None:
    before = process_resident_bytes()
    for _ in range(5):
        store = ReservedStore(model, SHAPE, POLICY, OpenGate())
        fill(store, slot=0, cells=512)
        store.close()
    assert process_resident_bytes() - before < 15 << 20


def greedy(store: KvStore, model: Model, prompt: str, count: int) -> list[int]:
    """`count` tokens after `prompt` in slot 1, growing as needed."""
    tokens = model.vocabulary.tokenize(prompt, add_special=True, parse_special=False)
    with Batch(SHAPE.batch_tokens) as batch, Sampler(model.vocabulary, Sampling(seed=0, temperature=0)) as sampler:
        pending, position = tokens, 0
        produced: list[int] = []
        while len(produced) < count:
            batch.clear()
            for token in pending:
                index = batch.add(token, position, 1, wants_logits=token is pending[-1])
                position += 1
            store.prepare(1, len(pending))
            store.context.decode(batch)
            store.advance(1, len(pending))
            pending = [sampler.sample(store.context, index)]
            produced += pending
    return produced


def test_greedy_tokens_equal_eager_over_growths(model: Model, store: ReservedStore) -> None:
    prompt = "The history of the lighthouse begins"
    found = greedy(store, model, prompt, 500)
    assert store.cells[1].granted == 256 + 2 * 128
    eager = EagerStore(model, SHAPE, OpenGate())
    assert greedy(eager, model, prompt, 500) == found
    eager.close()


def test_eager_says_what_it_holds(model: Model) -> None:
    store = EagerStore(model, SHAPE, OpenGate())
    kv = store.measure()
    assert kv.granted == kv.resident == kv.reserved == CELL_BYTES * SHAPE.cells * SHAPE.slots
    assert [cells.granted for cells in store.cells] == [2048] * 4
    store.close()


def wish(kind: StoreKind | None, refusal: str | None) -> Wish:
    eager = dataclasses.replace(SHAPE, slots=1)
    return Wish(kind=kind, elastic=SHAPE, eager=eager, policy=POLICY, reserved_refusal=refusal)


@pytest.mark.parametrize(
    ("asked", "refusal", "kind"),
    [
        (None, None, StoreKind.RESERVED),
        (None, "not here", StoreKind.COPIED),
        (StoreKind.COPIED, None, StoreKind.COPIED),
        (StoreKind.EAGER, None, StoreKind.EAGER),
    ],
)
def test_the_choice_has_a_reason(model: Model, asked: StoreKind | None, refusal: str | None, kind: StoreKind) -> None:
    chosen = open_store(model, wish(asked, refusal), OpenGate())
    chosen.store.close()
    assert chosen.store.kind is kind
    assert refusal is None or chosen.reason == refusal


def test_a_refused_reservation_falls_back_to_copying(model_path: Path) -> None:
    """The address space of a process is limited to what copying needs, less than Reserved wants."""
    script = f"""
import resource
from pathlib import Path
from swell.kv.choose import Wish, open_store
from swell.kv.gate import OpenGate
from swell.llama.model import Model
from tests.kv.test_reserved import SHAPE, dataclasses, wish

model = Model(Path({str(model_path)!r}))
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (300 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
order = dataclasses.replace(wish(None, None), elastic=dataclasses.replace(SHAPE, cells=8192))
chosen = open_store(model, order, OpenGate())
print(chosen.store.kind.value, chosen.reason)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("copied unable to create a context of 4 x 8192 cells")
    assert "can't be reserved" in run.stderr


def test_a_changed_layout_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = list(layout.Buffer._fields_)
    swapped = type("Buffer", (ctypes.Structure,), {"_fields_": [fields[1], fields[0], *fields[2:]]})
    monkeypatch.setattr(layout, "Buffer", swapped)
    with pytest.raises(KvLayoutError):
        layout.check()


def test_a_self_check_that_fails_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def differ() -> None:
        raise KvLayoutError("another world")

    monkeypatch.setattr(selfcheck, "check", differ)
    assert "another world" in (selfcheck.reserved_refusal() or "")


def test_a_self_check_that_crashes_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> None:
        faulthandler.disable()  # pytest's would print the crash, which is meant
        ctypes.string_at(0)

    monkeypatch.setattr(selfcheck, "check", crash)
    assert selfcheck.reserved_refusal() == "the self-check died (exit code -11)"
