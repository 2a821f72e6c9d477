"""A store for each place: what lies on devices is copied there when it grows, what lies in host memory stays."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.counting import PROMPT as COUNTING
from tests.counting import expected
from tests.devices.worker import Worker, lending
from tests.kv.architectures import claim
from tests.kv.driving import fill, generate
from tests.kv.test_architectures import PROMPT, in_three_growths_and_a_shrink
from tests.tiny import ARCHITECTURES, Architecture

from swell.cache import CacheType
from swell.devices import LayersOn, Placement
from swell.errors import KvGrowError
from swell.kv.admission import OpenAdmission
from swell.kv.capacity import CacheLostError
from swell.kv.eager import EagerStore
from swell.kv.placed_store import PlacedStore, placed_refusal
from swell.kv.policy import GrowthPolicy
from swell.llama import layout, logs
from swell.llama.context import ContextShape
from swell.llama.device_cache import DeviceTensor
from swell.llama.devices import Device, worker_devices
from swell.llama.model import LlamaModel
from swell.memory.device_ledger import DeviceAccount

pytestmark = pytest.mark.devices

SHAPE = ContextShape(cells=1024, slots=3, batch_tokens=256, threads=1)
POLICY = GrowthPolicy(initial_cells=64, block_cells=64, max_cells=1024)
ALONE = dataclasses.replace(SHAPE, cells=8192, slots=1)
ON_VULKAN = ("llama", "gemma2", "gemma3", "lfm2", "jamba", "mamba2", "rwkv7")
"""One or two of most kinds of memory. For MLA (deepseek2 and deepseek32) and chunks (llama4) the software driver
compiles shaders for minutes; all three passed in November 2026."""
FROM_256 = GrowthPolicy(initial_cells=256, block_cells=256, max_cells=8192)


@pytest.fixture(scope="module", autouse=True)
def known_layout() -> None:
    logs.route()
    layout.check()


@pytest.fixture(scope="module", params=["worker", "vulkan"])
def device(request: pytest.FixtureRequest, workers: tuple[Worker, Worker]) -> Device:
    if request.param == "vulkan":
        found: tuple[Device, Device] = request.getfixturevalue("vulkan_devices")
        return found[0]
    return worker_devices(workers[0].address)[0]


@pytest.fixture(scope="module")
def half(device: Device, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Architecture], LlamaModel]]:
    """Opens tiny models with half of their layers on the device."""
    opened: dict[str, LlamaModel] = {}

    def load(architecture: Architecture) -> LlamaModel:
        if architecture.name not in opened:
            path = tmp_path_factory.mktemp("model") / f"{architecture.name}.gguf"
            architecture.write(path)
            with LlamaModel(path) as whole:
                layers = whole.layers // 2 + 1
            placement = Placement(shares=(LayersOn(device.name, layers),))
            opened[architecture.name] = LlamaModel(path, placement, [device])
        return opened[architecture.name]

    yield load
    for model in opened.values():
        model.close()


@pytest.mark.parametrize(
    ("device", "name"),
    [*(("worker", name) for name in ARCHITECTURES), *(("vulkan", name) for name in ON_VULKAN)],
    indirect=["device"],
    scope="module",
)
def test_growth_is_exact_with_every_kind_of_memory(name: str, half: Callable[[Architecture], LlamaModel]) -> None:
    architecture = ARCHITECTURES[name]
    model, shape = half(architecture), SHAPE
    if placed_refusal(model, shape) is not None:  # slots that can't share cells
        shape = dataclasses.replace(shape, slots=1)
        assert placed_refusal(model, shape) is None
    slot = shape.slots - 1
    store, ordinary = (kind(model, shape, OpenAdmission()) for kind in (_placed, EagerStore))
    assert generate(store, slot, PROMPT, 100) == generate(ordinary, slot, PROMPT, 100)
    store.ensure(slot, 700)  # long before it is needed, so that batches look as they did before
    assert generate(store, slot, PROMPT, 200) == generate(ordinary, slot, PROMPT, 200)
    store.close()
    ordinary.close()
    if shape.slots > 1 and claim(architecture).copied_exactly:
        stores = (kind(model, shape, OpenAdmission()) for kind in (_placed, EagerStore))
        assert len({tuple(in_three_growths_and_a_shrink(store)) for store in stores}) == 1


def _placed(model: LlamaModel, shape: ContextShape, admission: OpenAdmission) -> PlacedStore:
    return PlacedStore(model, shape, POLICY, admission)


@pytest.mark.parametrize("cache_type", list(CacheType))
def test_growth_copies_what_is_on_the_device_and_nothing_else(
    half: Callable[[Architecture], LlamaModel], cache_type: CacheType
) -> None:
    model = half(ARCHITECTURES["llama"])
    shape = dataclasses.replace(SHAPE, slots=1, cache_type=cache_type)
    store = PlacedStore(model, shape, GrowthPolicy(initial_cells=256, block_cells=256, max_cells=1024), OpenAdmission())
    ordinary = EagerStore(model, shape, OpenAdmission())
    assert generate(store, 0, PROMPT, 400) == generate(ordinary, 0, PROMPT, 400)
    assert store.capacity_cells == 512
    cell_bytes = store.bytes_of(1) // 2
    assert store.copied_bytes == 256 * cell_bytes
    assert sum(store.measure().devices.values()) == 512 * cell_bytes
    on_host = store.measure().resident - 512 * cell_bytes
    assert on_host == pytest.approx(store.cells[0].stored * cell_bytes, abs=4 * 4096)
    store.close()
    ordinary.close()


def test_copying_is_linear_in_the_final_length(half: Callable[[Architecture], LlamaModel]) -> None:
    store = PlacedStore(half(ARCHITECTURES["llama"]), ALONE, FROM_256, OpenAdmission())
    while store.cells[0].stored < ALONE.cells:
        store.prepare(0, 256)
        store.advance(0, 256)
    assert store.capacity_cells == ALONE.cells
    assert 0 < store.copied_bytes <= 4 * sum(store.measure().devices.values())
    store.close()


def test_an_allocation_that_a_device_refuses_leaves_the_cache_working(model_path: Path, tmp_path: Path) -> None:
    """Some tensors have grown by then, and are put back."""
    with lending(tmp_path / "worker.log", "130MB") as worker:
        (device,) = worker_devices(worker.address)
        with LlamaModel(model_path, Placement(shares=(LayersOn(device.name, 31),)), [device]) as model:
            store = PlacedStore(model, ALONE, FROM_256, OpenAdmission())
            prompt = model.vocabulary.tokenize(COUNTING, add_special=True, parse_special=False)
            tokens = generate(store, 0, prompt, 30)
            taken, resident = device.memory().free_bytes, store.measure().resident
            with pytest.raises(KvGrowError) as refused:
                store.ensure(0, 4000)
            assert (refused.value.from_cells, refused.value.to_cells) == (256, 4000)
            assert store.capacity_cells == 256
            assert (device.memory().free_bytes, store.measure().resident) == (taken, resident)
            store.ensure(0, 600)
            tokens += generate(store, 0, tokens[-1:], 30)
            text = b"".join(map(model.vocabulary.piece, tokens)).decode()
            assert text == expected(40, len(text))
            assert store.capacity_cells == 768
            store.close()
        assert "refused" in worker.log.read_text()


def taken_bytes(device: Device) -> int:
    """What a worker has lent, or what is allocated on a device here, whose driver may count other programs' memory."""
    if isinstance(device.quota, DeviceAccount):
        return device.quota.taken_bytes
    memory = device.memory()
    return memory.total_bytes - memory.free_bytes


def test_what_is_given_back_is_free(half: Callable[[Architecture], LlamaModel], device: Device) -> None:
    model = half(ARCHITECTURES["llama"])
    before = taken_bytes(device)
    store = PlacedStore(model, SHAPE, POLICY, OpenAdmission())
    fill(store, 0, 200)
    fill(store, 1, 900)
    large, most = store.capacity_cells, taken_bytes(device)
    store.rewind(1, 0)
    store.compact([0, 0, 0])
    assert store.capacity_cells <= large / 2
    assert before < taken_bytes(device) < most
    assert store.context.positions(0) == (0, 199)
    store.close()
    assert taken_bytes(device) == before


@pytest.mark.parametrize("wanted", [1000, 0], ids=["growing", "shrinking"])
def test_a_device_that_gives_nothing_back_ends_the_cache(
    half: Callable[[Architecture], LlamaModel], device: Device, monkeypatch: pytest.MonkeyPatch, wanted: int
) -> None:
    """And nothing that was freed is used again, or freed twice."""
    model = half(ARCHITECTURES["llama"])
    before = taken_bytes(device)
    store = PlacedStore(model, SHAPE, POLICY, OpenAdmission())
    fill(store, 0, 100)
    if not wanted:
        fill(store, 1, 900)
        store.rewind(1, 0)
    with monkeypatch.context() as patch:
        patch.setattr(DeviceTensor, "allocate", lambda *_: None)
        with pytest.raises(CacheLostError, match="no cache can be had"):
            store.ensure(1, wanted) if wanted else store.compact([0, 0, 0])
    store.close()
    assert taken_bytes(device) == before
