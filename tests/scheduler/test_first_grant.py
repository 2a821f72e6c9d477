"""What slots are granted first: what is set, or what was learned; which never stands in a load's way."""

import asyncio
import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.scheduler.fakes import MB, WEIGHTS_BYTES, World, model

from swell.cache import INITIAL_TOKENS, CacheType, StoreKind
from swell.errors import ContextError
from swell.models.model import Model
from swell.scheduler.cells import context_max
from swell.scheduler.first_grant import FirstGrant, first_grant, learned
from swell.scheduler.load_message import estimated_memory
from swell.scheduler.load_options import LoadOptions
from swell.settings import Settings
from swell.sizes.learning import SIZES_MIN
from swell.sizes.recent import TurnSize

LARGE = {"llama.embedding_length": 4096, "llama.block_count": 32}
"""So that 2,048 cells take a gigabyte."""
AUTO = Settings.from_environment({"OLLAMA_KV_CACHE_INIT": "auto"})
SIZES = st.lists(st.integers(1, 5000), max_size=100)


def described(name: str, **metadata: int) -> Model:
    """A large model with more in its header."""
    small = model(name)
    header = dataclasses.replace(small.header, metadata={**small.header.metadata, **LARGE, **metadata})
    return dataclasses.replace(small, weights=dataclasses.replace(small.weights, header=header))


MODEL = described("a")


@given(tokens=st.integers(1, 2**31 - 1), sizes=SIZES)
def test_what_is_set_is_granted_whatever_was_learned(tokens: int, sizes: list[int]) -> None:
    settings = Settings.from_environment({"OLLAMA_KV_CACHE_INIT": str(tokens)})
    assert first_grant(MODEL, settings, sizes) == FirstGrant(tokens, tokens)
    assert learned(MODEL, settings, sizes) is None


@given(sizes=SIZES, block=st.integers(1, 5000), ceiling=st.integers(0, 5000))
def test_what_is_learned_fits_a_window_and_counts_no_more_than_is_usual(
    sizes: list[int], block: int, ceiling: int
) -> None:
    settings = dataclasses.replace(AUTO, kv_grow_tokens=block, context_length=ceiling)
    grant = first_grant(MODEL, settings, sizes)
    assert 0 < grant.counted_tokens <= INITIAL_TOKENS
    assert grant.counted_tokens <= grant.wanted_tokens
    if len(sizes) < SIZES_MIN:
        assert grant == FirstGrant(INITIAL_TOKENS, INITIAL_TOKENS)
    else:
        assert grant.wanted_tokens <= settings.context_ceiling(context_max(MODEL))
        assert grant.wanted_tokens % block == 0 or grant.wanted_tokens == settings.context_ceiling(4096)


def test_what_keeps_nothing_learns_nothing() -> None:
    sizes = [100] * SIZES_MIN
    embedder = described("a", **{"llama.pooling_type": 1})
    assert learned(MODEL, AUTO, sizes) == 1024
    assert learned(embedder, AUTO, sizes) is None
    for eager in (dataclasses.replace(AUTO, kv_dynamic=False), dataclasses.replace(AUTO, kv_store=StoreKind.EAGER)):
        assert learned(MODEL, eager, sizes) is None
        assert not eager.learns_first_grant


def test_a_long_grant_costs_no_more_than_is_usual_where_a_load_is_decided() -> None:
    options = LoadOptions(cache_type=CacheType.F16)
    low, *needed = [
        estimated_memory(MODEL, options, AUTO, first_grant(MODEL, AUTO, [size] * SIZES_MIN)).total_bytes
        for size in (10, 2000, 4000)
    ]
    usual = estimated_memory(MODEL, options, Settings(), first_grant(MODEL, Settings())).total_bytes
    assert low < usual
    assert needed == [usual, usual]


def answered(world: World, loaded: Model, tokens: int) -> None:
    for _ in range(SIZES_MIN):
        world.scheduler.sizes.add(TurnSize(loaded.key_digest, tokens, 0))


def test_each_model_begins_with_what_its_own_answers_needed() -> None:
    async def story() -> list[int]:
        world = World(kv_initial_tokens=None)
        answered(world, model("a"), 3000)
        answered(world, model("b"), 100)
        for name in "abc":
            async with world.scheduler.lease(model(name)):
                pass
        orders = [world.launcher.of(f"/{name}").order.initial_tokens for name in "abc"]
        await world.scheduler.close()
        return orders

    assert asyncio.run(story()) == [3072, 1024, INITIAL_TOKENS]


def test_where_there_is_no_memory_for_it_after_all_the_model_is_loaded_without() -> None:
    async def story() -> tuple[int, int]:
        world = World(kv_initial_tokens=None)
        answered(world, model("a"), 4000)
        world.launcher.failures["/a"] = [ContextError(4000, 4, "no memory")]
        async with world.scheduler.lease(model("a")):
            pass
        found = world.launcher.of("/a").order.initial_tokens, len(world.launcher.begun)
        await world.scheduler.close()
        return found

    assert asyncio.run(story()) == (INITIAL_TOKENS, 2)


@pytest.mark.parametrize(("initial_tokens", "left"), [(None, ["/a", "/b"]), (4000, ["/a"])])
def test_nobody_is_unloaded_for_what_was_learned(initial_tokens: int | None, left: list[str]) -> None:
    """But for what is set: there is room for both models at what is usual."""
    usual = estimated_memory(MODEL, LoadOptions(), Settings(), first_grant(MODEL, Settings()))

    async def story() -> list[str]:
        world = World(kv_initial_tokens=initial_tokens)
        async with world.scheduler.lease(model("b")):
            pass
        headroom = world.settings.kv_headroom.limit_bytes(world.memory.total_bytes())
        world.memory.free = WEIGHTS_BYTES + usual.total_bytes + headroom + 500 * MB
        answered(world, MODEL, 4000)
        async with world.scheduler.lease(MODEL):
            pass
        alive = world.launcher.alive
        await world.scheduler.close()
        return alive

    assert asyncio.run(story()) == left
