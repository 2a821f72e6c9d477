"""Caches on a Vulkan device: growth that is refused."""

import contextlib
import dataclasses
from collections.abc import Iterator

import pytest
from tests.kv.driving import BATCH_TOKENS, generate
from tests.kv.test_architectures import PROMPT
from tests.tiny.attention import write_llama

from swell.cache import CacheType, FlashAttention
from swell.devices import LayersOn, Placement
from swell.errors import KvGrowError
from swell.kv.admission import OpenAdmission
from swell.kv.copied import CopiedStore
from swell.kv.eager import EagerStore
from swell.kv.placed_store import PlacedStore
from swell.kv.policy import GrowthPolicy
from swell.llama.context import ContextShape
from swell.llama.devices import Device
from swell.llama.model import LlamaModel
from swell.memory.device_ledger import DeviceAccount

pytestmark = pytest.mark.devices

SHAPE = ContextShape(cells=1024, slots=1, batch_tokens=BATCH_TOKENS, threads=1)
POLICY = GrowthPolicy(initial_cells=256, block_cells=256, max_cells=1024)
LONG = PROMPT * 4  # 192 tokens: they and an answer of 80 don't fit the first grant
SHAPES = {
    "f16": SHAPE,
    "q8_0": dataclasses.replace(SHAPE, cache_type=CacheType.Q8_0),
    "q4_0": dataclasses.replace(SHAPE, cache_type=CacheType.Q4_0),
    "without flash attention": dataclasses.replace(SHAPE, flash_attention=FlashAttention.OFF),
}


@pytest.fixture(scope="module", params=[5, 3], ids=["all layers", "half"])
def tiny(
    request: pytest.FixtureRequest, vulkan_devices: tuple[Device, Device], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaModel]:
    """A tiny model with all of its layers, or half, on the first device."""
    path = tmp_path_factory.mktemp("tiny") / "llama.gguf"
    write_llama(path)
    placement = Placement(shares=(LayersOn(vulkan_devices[0].name, request.param),))
    with LlamaModel(path, placement, vulkan_devices) as model:
        yield model


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
@pytest.mark.parametrize("kind", [PlacedStore, CopiedStore])
def test_a_refused_growth_leaves_the_answer_as_it_was(
    tiny: LlamaModel, vulkan_devices: tuple[Device, Device], kind: type[CopiedStore | PlacedStore], shape: ContextShape
) -> None:
    """And the next one, which the device has room for, neither."""
    if kind is PlacedStore and shape.flash_attention is FlashAttention.OFF:
        kind = CopiedStore  # as `placed_refusal` has it
    account = vulkan_devices[0].quota
    assert isinstance(account, DeviceAccount)
    before_bytes = account.taken_bytes
    with contextlib.closing(EagerStore(tiny, shape, OpenAdmission())) as ordinary:
        expected = generate(ordinary, 0, LONG, 80)
    with contextlib.closing(kind(tiny, shape, POLICY, OpenAdmission())) as store:
        tokens = generate(store, 0, LONG, 20)
        taken_bytes = account.taken_bytes
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(account, "limit_bytes", taken_bytes + 10_000)
            with pytest.raises(KvGrowError):
                store.ensure(0, 1000)
        assert (store.capacity_cells, account.taken_bytes) == (256, taken_bytes)
        tokens += generate(store, 0, tokens[-1:], 60)
        assert store.capacity_cells > 256
        assert account.taken_bytes > taken_bytes
        assert tokens == expected
    assert account.taken_bytes == before_bytes
