"""Slots whose memory can't be cut go back to checkpoints, and go on from there as if they had never been further."""

import itertools
import mmap
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.kv.driving import generate, write
from tests.runner.limited import LimitedAdmission
from tests.tiny import ARCHITECTURES

from swell.errors import KvGrowError
from swell.kv.admission import OpenAdmission
from swell.kv.base import KvStore
from swell.kv.checkpoints import Checkpoint, Checkpoints, least_valuable
from swell.kv.copied import CopiedStore
from swell.kv.eager import EagerStore
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama.context import ContextShape
from swell.llama.model import LlamaModel

SHAPE = ContextShape(cells=1024, slots=2, batch_tokens=256, threads=1)
POLICY = GrowthPolicy(initial_cells=64, block_cells=64, max_cells=1024)
PROMPT = [(token * 37 + 11) % 251 for token in range(600)]
SAVED, BRANCH = 300, 340
MOST = 8
COUNTS = st.integers(1, 150)

STORES: dict[str, Callable[[LlamaModel], KvStore]] = {
    "reserved": lambda model: ReservedStore(model, SHAPE, POLICY, OpenAdmission()),
    "copied": lambda model: CopiedStore(model, SHAPE, POLICY, OpenAdmission()),
    "eager": lambda model: EagerStore(model, SHAPE, OpenAdmission()),
}


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def store(request: pytest.FixtureRequest, tiny: LlamaModel) -> Iterator[KvStore]:
    opened = request.param(tiny)
    yield opened
    opened.close()


def continued(store: KvStore, slot: int) -> list[int]:
    """What comes after another end of the prompt."""
    return generate(store, slot, [*PROMPT[SAVED:BRANCH], 5, 6, 7], 40)


def test_a_slot_goes_on_from_its_checkpoint_as_if_nothing_had_followed(store: KvStore) -> None:
    write(store, 1, PROMPT[:SAVED])
    expected = continued(store, 1)
    write(store, 0, PROMPT[:SAVED])
    store.save_checkpoint(0, MOST)
    write(store, 0, PROMPT[SAVED:])
    generate(store, 0, [9], 50)
    assert store.rewind(0, BRANCH) in (SAVED, BRANCH)
    assert store.rewind(0, SAVED) == SAVED
    assert continued(store, 0) == expected
    assert store.check_integrity() == []


def test_what_a_slot_can_reach_is_left(store: KvStore) -> None:
    for end in (100, 200, SAVED):
        write(store, 0, PROMPT[store.cells[0].stored : end])
        store.save_checkpoint(0, MOST)
    write(store, 0, PROMPT[SAVED:])
    for tokens in (560, 250, 150, 50):
        reachable = store.cells[0].reachable(tokens)
        left = store.rewind(0, tokens)
        assert reachable <= left <= tokens
        assert all(saved <= left for saved in store.cells[0].checkpoints.tokens)
        write(store, 0, PROMPT[left:])
    assert store.check_integrity() == []


def test_checkpoints_are_booked_and_given_back(store: KvStore) -> None:
    write(store, 0, PROMPT[:200])
    before_bytes = store.booked_bytes
    store.save_checkpoint(0, MOST)
    assert store.booked_bytes - before_bytes == store.checkpoint_bytes > 0
    assert store.measure().granted >= store.checkpoint_bytes
    assert store.check_integrity() == []
    store.drop_checkpoints()
    assert (store.checkpoint_bytes, store.booked_bytes) == (0, before_bytes)
    assert store.check_integrity() == []


@pytest.fixture(scope="module")
def sliding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    path = tmp_path_factory.mktemp("model") / "gemma3.gguf"
    ARCHITECTURES["gemma3"].write(path)
    with LlamaModel(path) as loaded:
        yield loaded


STEPS = st.tuples(st.sampled_from(["fill", "fill", "save", "save", "settle", "forget"]), st.integers(0, 1), COUNTS)


@settings(max_examples=40)
@given(limit_cells=st.integers(100, 900), steps=st.lists(STEPS, max_size=14))
def test_checkpoints_never_cost_a_grant(
    sliding: LlamaModel, limit_cells: int, steps: list[tuple[str, int, int]]
) -> None:
    """What is refused beside checkpoints is refused without them, too."""
    stores = []
    for _ in range(2):
        store = ReservedStore(sliding, SHAPE, POLICY, admission := LimitedAdmission())
        admission.limit_bytes = store.bytes_of(limit_cells)
        stores.append(store)
    saving, plain = stores
    for step, slot, count in steps:
        if step == "save":
            saving.save_checkpoint(slot, 3)
            continue
        assert did(saving, step, slot, count) == did(plain, step, slot, count)
        assert saving.check_integrity() == plain.check_integrity() == []
    saving.close()
    plain.close()


def did(store: KvStore, step: str, slot: int, count: int) -> object:
    """What came of a step: the cells granted, or those that were refused."""
    if step == "settle":
        store.settle(slot)
    elif step == "forget":
        store.rewind(slot, 0)
    else:
        try:
            write(store, slot, PROMPT[:count])
        except KvGrowError as refusal:
            return refusal.to_cells
    return [state.granted for state in store.cells]


# --- which ones are kept ---------------------------------------------------------------------------------------


@given(st.sets(st.integers(1, 100_000), min_size=1, max_size=60).map(sorted), st.integers(1, 16))
def test_the_last_one_stays_and_the_others_thin_out(places: list[int], most: int) -> None:
    kept: list[int] = []
    for place in places:
        kept.append(place)
        while len(kept) > most:
            del kept[least_valuable(kept)]
    assert kept[-1] == places[-1]
    assert len(kept) == min(most, len(places))
    assert kept == sorted(kept)


def test_those_near_the_end_are_kept() -> None:
    kept: list[int] = []
    for place in range(1000, 65_000, 1000):
        kept.append(place)
        if len(kept) > MOST:
            del kept[least_valuable(kept)]
    assert kept[-3:] == [62_000, 63_000, 64_000]
    gaps = [after - before for before, after in itertools.pairwise(kept)]
    assert gaps == sorted(gaps, reverse=True)


def test_what_they_take_is_known_while_one_is_dropped() -> None:
    """Statistics are read by another thread."""
    checkpoints = Checkpoints()
    checkpoints.add(one := Checkpoint(5, mmap.mmap(-1, 4096), 4096))
    one.state.close()
    assert checkpoints.size_bytes == 4096


def test_checkpoints_are_out_of_the_books_before_their_memory_is_given_back(sliding: LlamaModel) -> None:
    admission, noted = LimitedAdmission(), list[int]()

    class Seen(mmap.mmap):
        def close(self) -> None:
            noted.append(admission.noted_bytes)
            super().close()

    store = ReservedStore(sliding, SHAPE, POLICY, admission)
    write(store, 0, PROMPT[:100])
    store.save_checkpoint(0, MOST)
    (saved,) = store.cells[0].checkpoints.take_after(-1)
    store.cells[0].checkpoints.add(saved._replace(state=Seen(-1, saved.size_bytes)))
    before_bytes = admission.noted_bytes
    store.drop_checkpoints()
    assert noted == [before_bytes - saved.size_bytes]
    store.close()
