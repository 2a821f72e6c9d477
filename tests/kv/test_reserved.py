"""The Reserved store on the real model: what it holds, what it costs, and that it computes the same."""

import ctypes
import dataclasses
import faulthandler
import mmap
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kv.driving import fill, generate, write

from swell.cache import StoreKind
from swell.errors import KvLayoutError
from swell.kv import selfcheck
from swell.kv.admission import OpenAdmission
from swell.kv.choose import StoreOptions, open_store
from swell.kv.eager import EagerStore
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama import layout
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel
from swell.memory.resident import process_resident

CELL_BYTES = 23_040
SLACK_BYTES = 2 << 20
SHAPE = ContextShape(cells=2048, slots=4, batch_tokens=256, threads=1)
POLICY = GrowthPolicy(initial_cells=256, block_cells=128, max_cells=2048)


@pytest.fixture
def store(model: LlamaModel) -> Iterator[ReservedStore]:
    assert selfcheck.reserved_refusal() is None
    opened = ReservedStore(model, SHAPE, POLICY, OpenAdmission())
    yield opened
    opened.close()


def test_reserves_everything_and_holds_next_to_nothing(model: LlamaModel) -> None:
    before = process_resident().total_bytes
    store = ReservedStore(model, SHAPE, POLICY, OpenAdmission())
    kv = store.measure()
    store.close()
    assert kv.reserved == CELL_BYTES * SHAPE.cells * SHAPE.slots
    assert kv.granted == CELL_BYTES * 256 * SHAPE.slots
    assert kv.resident == 0
    assert process_resident().total_bytes - before < 15 << 20


def test_memory_follows_the_cells_that_are_written(store: ReservedStore) -> None:
    fill(store, slot=2, cells=600)
    kv = store.measure()
    assert [cells.granted for cells in store.cells] == [256, 256, 640, 256]
    assert kv.granted == CELL_BYTES * (640 + 3 * 256)
    assert 1.0 <= kv.resident / (CELL_BYTES * 600) < 1.04


def test_a_request_that_ends_gives_back_what_it_no_longer_stores(store: ReservedStore) -> None:
    fill(store, slot=2, cells=1500)
    fill(store, slot=1, cells=300)
    for _ in range(2):  # grants follow the largest of two requests
        store.rewind(2, 512)
        store.settle(2)
    assert [cells.granted for cells in store.cells] == [256, 384, 640, 256]
    kv = store.measure()
    assert 1.0 <= kv.resident / (CELL_BYTES * (512 + 300)) < 1.04
    assert kv.slots_resident[2] == pytest.approx(CELL_BYTES * 512, rel=0.02)


def test_an_idle_model_keeps_its_prefixes_and_nothing_else(store: ReservedStore, model: LlamaModel) -> None:
    prompt = model.vocabulary.tokenize("1 2 3 4 5 6 7 8 9 10 11 12 ", add_special=True, parse_special=False)
    write(store, 3, prompt[:-1])
    fill(store, 0, 1000)
    store.rewind(0, 0)
    store.compact([0, 0, 0, 0])
    assert [cells.granted for cells in store.cells] == [0, 0, 0, 128]
    assert store.measure().resident < 2 << 20
    text = b"".join(model.vocabulary.piece(token) for token in generate(store, 3, prompt[-1:], 12))
    assert text.startswith(b"13 14 15")


def test_memory_given_back_reaches_the_system(store: ReservedStore) -> None:
    fill(store, slot=0, cells=2000)
    before = process_resident().total_bytes
    store.rewind(0, 0)
    store.compact([0] * 4)
    assert before - process_resident().total_bytes == pytest.approx(2000 * CELL_BYTES, rel=0.04)


def anonymous_bytes() -> int:
    resident = process_resident()
    return resident.total_bytes - resident.mapped_bytes


def test_copying_a_short_beginning_takes_what_is_booked_and_leaves_only_that(
    model: LlamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    admission, cells, shared = OpenAdmission(), 1500, 84
    store = ReservedStore(model, SHAPE, POLICY, admission)
    fill(store, slot=0, cells=cells)
    before, kept = anonymous_bytes(), store.bytes_of(cells)
    at_most: list[tuple[int, int]] = []
    restore_state = Context.restore_state

    def restore_and_look(context: Context, slot: int, data: mmap.mmap | bytearray) -> None:
        restore_state(context, slot, data)
        at_most.append((anonymous_bytes() - before, admission.granted_bytes - kept))

    monkeypatch.setattr(Context, "restore_state", restore_and_look)
    assert store.copy(0, 1, [1] * shared) == shared
    after, resident = anonymous_bytes() - before, store.measure().slots_resident[1]
    granted = [state.granted for state in store.cells]
    booked_after = admission.granted_bytes
    store.close()
    ((taken_bytes, booked_bytes),) = at_most
    assert taken_bytes < shared * CELL_BYTES + SLACK_BYTES < kept
    assert booked_bytes + kept == booked_after
    assert granted == [1536, 256, 256, 256]
    assert booked_after == CELL_BYTES * sum(granted)
    assert CELL_BYTES * shared <= resident <= CELL_BYTES * granted[1]
    assert after < resident + SLACK_BYTES


def test_closing_gives_all_memory_back(model: LlamaModel) -> None:
    before = process_resident().total_bytes
    for _ in range(5):
        store = ReservedStore(model, SHAPE, POLICY, OpenAdmission())
        fill(store, slot=0, cells=512)
        store.close()
    assert process_resident().total_bytes - before < 15 << 20


def test_greedy_tokens_equal_eager_over_growths(model: LlamaModel, store: ReservedStore) -> None:
    prompt = model.vocabulary.tokenize("The history of the lighthouse begins", add_special=True, parse_special=False)
    found = generate(store, 1, prompt, 500)
    assert store.cells[1].granted == 256 + 2 * 128
    eager = EagerStore(model, SHAPE, OpenAdmission())
    assert generate(eager, 1, prompt, 500) == found
    eager.close()


def test_eager_says_what_it_holds(model: LlamaModel) -> None:
    store = EagerStore(model, SHAPE, OpenAdmission())
    kv = store.measure()
    assert kv.granted == kv.resident == kv.reserved == CELL_BYTES * SHAPE.cells * SHAPE.slots
    assert [cells.granted for cells in store.cells] == [2048] * 4
    store.close()


def options(kind: StoreKind | None, refusal: str | None) -> StoreOptions:
    eager = dataclasses.replace(SHAPE, slots=1)
    return StoreOptions(kind=kind, elastic=SHAPE, eager=eager, policy=POLICY, reserved_refusal=refusal)


@pytest.mark.parametrize(
    ("asked", "refusal", "kind"),
    [
        (None, None, StoreKind.RESERVED),
        (None, "not here", StoreKind.COPIED),
        (StoreKind.COPIED, None, StoreKind.COPIED),
        (StoreKind.EAGER, None, StoreKind.EAGER),
    ],
)
def test_the_choice_has_a_reason(
    model: LlamaModel, asked: StoreKind | None, refusal: str | None, kind: StoreKind
) -> None:
    chosen = open_store(model, options(asked, refusal), OpenAdmission())
    chosen.store.close()
    assert chosen.store.kind is kind
    assert refusal is None or chosen.reason == refusal


def test_a_refused_reservation_falls_back_to_copying(model_path: Path) -> None:
    """The address space of a process is limited to what copying needs, less than Reserved wants."""
    script = f"""
import resource
from pathlib import Path
from swell.kv.choose import StoreOptions, open_store
from swell.kv.admission import OpenAdmission
from swell.llama.model import LlamaModel
from tests.kv.test_reserved import SHAPE, dataclasses, options

model = LlamaModel(Path({str(model_path)!r}))
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (300 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
order = dataclasses.replace(options(None, None), elastic=dataclasses.replace(SHAPE, cells=8192))
chosen = open_store(model, order, OpenAdmission())
print(chosen.store.kind.value, chosen.reason)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("copied unable to create a context of 4 x 8192 cells")
    assert "the KV cache is copied as a whole when it grows" in run.stderr


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


def test_a_kernel_without_huge_pages_is_no_reason_against_it(
    model: LlamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses advice that it doesn't know."""
    monkeypatch.setattr("mmap.MADV_NOHUGEPAGE", 12345)
    opened = ReservedStore(model, SHAPE, POLICY, OpenAdmission())
    fill(opened, 0, 100)
    assert opened.cells[0].stored == 100
    opened.close()
