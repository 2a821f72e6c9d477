"""The beginning of a slot is copied into another one: just these cells, and in memory of their own."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kv.driving import fill, generate, write
from tests.runner.limited import LimitedAdmission
from tests.tiny import ARCHITECTURES
from tests.tiny.attention import write_qwen3vl

from swell.cache import CacheType, FlashAttention
from swell.errors import KvGrowError
from swell.kv.admission import OpenAdmission
from swell.kv.copied import CopiedStore
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama import logs
from swell.llama.context import ContextShape, StatePart
from swell.llama.model import LlamaModel

SHAPE = ContextShape(cells=1024, slots=3, batch_tokens=256, threads=1)
POLICY = GrowthPolicy(initial_cells=64, block_cells=64, max_cells=1024)
PROMPT = [(token * 37 + 11) % 251 for token in range(600)]
SHARED = 300
MOST = 8
VARIANTS = {
    "f16": SHAPE,
    "transposed": dataclasses.replace(SHAPE, flash_attention=FlashAttention.OFF),
    "q8_0": dataclasses.replace(SHAPE, cache_type=CacheType.Q8_0),
}


@pytest.fixture(params=VARIANTS.values(), ids=list(VARIANTS))
def store(request: pytest.FixtureRequest, tiny: LlamaModel) -> Iterator[ReservedStore]:
    opened = ReservedStore(tiny, request.param, POLICY, OpenAdmission())
    yield opened
    opened.close()


def continued(store: ReservedStore, slot: int) -> list[int]:
    return generate(store, slot, [5, 6, 7], 40)


def test_a_copy_goes_on_like_its_source_and_leaves_that_alone(store: ReservedStore) -> None:
    write(store, 1, PROMPT[:SHARED])
    expected = continued(store, 1)
    write(store, 0, PROMPT[:SHARED])
    store.save_checkpoint(0, MOST)
    write(store, 0, PROMPT[SHARED:])
    assert store.copyable(0, SHARED + 10) >= SHARED
    assert store.copy(0, 2, PROMPT[:SHARED]) == SHARED
    assert continued(store, 2) == expected
    assert store.cells[0].stored == len(PROMPT)
    after = continued(store, 0)
    store.rewind(1, 0)
    write(store, 1, PROMPT[:SHARED])
    write(store, 1, PROMPT[SHARED:])
    assert continued(store, 1) == after
    assert store.check_integrity() == []


def test_cells_that_the_source_has_lost_are_not_copied(store: ReservedStore) -> None:
    """To make room for the copy, an idle slot may have been asked for its cells: also the one that is copied."""
    write(store, 0, PROMPT[:SHARED])
    store.save_checkpoint(0, MOST)
    store.rewind(0, 0)
    assert store.copyable(0, SHARED) == store.copy(0, 1, PROMPT[:SHARED]) == 0
    assert store.context.positions(1)[1] == -1


def test_what_cannot_be_cut_is_copied_at_checkpoints_only(store: ReservedStore, tiny: LlamaModel) -> None:
    write(store, 0, PROMPT[:SHARED])
    is_cuttable = not (tiny.is_recurrent or tiny.window_tokens)
    assert store.copyable(0, 200) == store.copy(0, 1, PROMPT[:200]) == (200 if is_cuttable else 0)
    assert store.context.positions(1)[1] == (199 if is_cuttable else -1)
    assert store.check_integrity() == []


def differences(store: ReservedStore, slot: int, tokens: list[int]) -> tuple[int, int]:
    """Bytes of llama.cpp's own state of `slot` that a blank one has otherwise, in all and without those that are 0."""
    own = bytes(store.context.save_state(slot))
    model = store.context.model
    is_cuttable = not (model.is_recurrent or model.window_tokens)
    uncuttable = None if is_cuttable else store.context.save_state(slot, StatePart.UNCUTTABLE)
    blank = bytes(store._blank.state(slot, tokens, uncuttable))
    assert len(blank) == len(own)
    other = [byte for byte, wanted in zip(blank, own, strict=True) if byte != wanted]
    return len(other), sum(map(bool, other))


def test_a_blank_state_is_llama_cpps_own_with_zeros_for_cells(store: ReservedStore) -> None:
    write(store, 1, PROMPT[:100])
    data_bytes = sum(plane.cell_bytes for cache in store._blank.caches for plane in cache) * 100
    zeroed, wrong = differences(store, 1, PROMPT[:100])
    assert wrong == 0
    assert zeroed <= data_bytes


def test_positions_may_be_points(tmp_path: Path) -> None:
    """Models that see pictures keep a point and a token for each cell."""
    logs.route()
    path = tmp_path / "qwen3vl.gguf"
    write_qwen3vl(path)
    with LlamaModel(path) as model:
        assert model.has_planar_positions
        store = ReservedStore(model, SHAPE, POLICY, OpenAdmission())
        write(store, 1, PROMPT[:100])
        expected = continued(store, 1)
        assert store.copy(1, 2, PROMPT[:100]) == 100
        assert differences(store, 2, PROMPT[:100])[1] == 0
        assert continued(store, 2) == expected
        store.close()


# --- memory ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    path = tmp_path_factory.mktemp("model") / "llama.gguf"
    ARCHITECTURES["llama"].write(path)
    with LlamaModel(path) as loaded:
        yield loaded


def test_a_copy_is_admitted_like_any_growth(causal: LlamaModel) -> None:
    store = ReservedStore(causal, SHAPE, POLICY, admission := LimitedAdmission())
    fill(store, 0, 600)
    admission.limit_bytes = store.booked_bytes + store.bytes_of(40)
    with pytest.raises(KvGrowError):
        store.copy(0, 1, PROMPT[:SHARED])
    assert store.cells[1].stored == 0
    assert store.check_integrity() == []
    admission.limit_bytes = store.booked_bytes + store.bytes_of(SHARED)
    assert store.copy(0, 1, PROMPT[:SHARED]) == SHARED
    assert store.check_integrity() == []
    store.close()


def test_a_store_that_can_only_copy_all_does_so_where_it_is_mostly_wanted(causal: LlamaModel) -> None:
    store = CopiedStore(causal, SHAPE, POLICY, OpenAdmission())
    fill(store, 0, 600)
    assert [store.copyable(0, keep) for keep in (80, 299, 300, 600)] == [0, 0, 300, 600]
    assert (store.copy(0, 1, PROMPT[:80]), store.copy(0, 2, PROMPT[:400])) == (0, 400)
    assert store.check_integrity() == []
    store.close()
