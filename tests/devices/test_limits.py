"""`SWELL_DEVICE_MEMORY` on a worker that has more: the limit holds, whatever is refused goes on elsewhere."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.counting import counted, expected
from tests.devices.asking import using
from tests.devices.worker import Worker, lending
from tests.e2e.server import MODEL, Server, running
from tests.kv.driving import BATCH_TOKENS, generate

from swell.cache import CacheType
from swell.devices import LayersOn, Placement
from swell.errors import KvGrowError, ModelLoadError
from swell.kv.admission import OpenAdmission
from swell.kv.capacity import CapacityStore
from swell.kv.copied import CopiedStore
from swell.kv.placed_store import PlacedStore
from swell.kv.policy import GrowthPolicy
from swell.llama import layout, logs
from swell.llama.context import ContextShape
from swell.llama.devices import Device, worker_devices
from swell.llama.model import LlamaModel
from swell.memory.device_ledger import DeviceAccount, DeviceLedger
from swell.scheduler.reclaiming import Source
from swell.turns.recovery.ladder import RecoveryStep

pytestmark = pytest.mark.devices

MB = 1_000_000
LAYERS = 31  # with the output
LIMIT_BYTES = 126 * MB  # weights are 97 MB, and a window of 1024 tokens takes 24 MB beside them
WINDOW_TOKENS = 1024
PROMPT = counted(200, 120)  # 480 tokens


@pytest.fixture
def worker(log: Path) -> Iterator[Worker]:
    with lending(log.with_name("worker.log"), "400MB") as lent:
        yield lent


def looks(server: Server, *, predict: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """One answer up to the end of the window: its lines, and the row of `ps` at every eighth and at the end."""
    options = {"temperature": 0, "num_predict": predict, "num_ctx": WINDOW_TOKENS}
    body = {"model": MODEL, "prompt": PROMPT, "raw": True, "options": options}
    with server.http.stream("POST", "/api/generate", json=body) as response:
        for number, text in enumerate(response.iter_lines()):
            line = json.loads(text)
            yield line, server.loaded() if number % 8 == 0 or line["done"] else {}


def on_devices(row: dict[str, Any]) -> int:
    """Layers."""
    return sum(device["layers"] for device in row.get("devices", []))


def test_within_a_limit_an_answer_fills_the_window_by_going_on_with_fewer_layers(log: Path, worker: Worker) -> None:
    predict = WINDOW_TOKENS - 480
    before = worker.idle_bytes()
    with running(log, using(worker, SWELL_DEVICE_MEMORY=f"{worker.address}={LIMIT_BYTES}")) as server:
        lines, rows = zip(*looks(server, predict=predict), strict=True)
        rows = tuple(row for row in rows if row)
        text = "".join(line["response"] for line in lines)
        assert text == expected(320, len(text))
        assert (lines[-1]["eval_count"], set(lines[-1]["resumed"])) == (predict, {RecoveryStep.OTHER_PLACEMENT.value})
        layers = [on_devices(row) for row in rows]
        assert layers[0] == LAYERS > layers[-1]
        assert rows[-1]["context_used"] >= WINDOW_TOKENS - 16
        for row in rows:
            assert row["vram_used"] <= LIMIT_BYTES
            assert row["vram_total"] in (LIMIT_BYTES, 0)
            assert row["vram_used"] + row["vram_free"] == row["vram_total"]
        assert worker.written_bytes() - before <= LIMIT_BYTES * 1.05
    assert "refused" not in worker.log.read_text()  # it would have had more


def test_a_limit_counts_what_all_models_take(log: Path, worker: Worker, model_path: Path, tmp_path: Path) -> None:
    other, limit_bytes = tmp_path / "other.gguf", 200 * MB
    other.symlink_to(model_path)
    with running(log, using(worker, SWELL_DEVICE_MEMORY=str(limit_bytes))) as server:
        with contextlib.ExitStack() as stack:
            answers = []
            for model in (MODEL, str(other)):  # both are busy, so that none makes way
                options = {"temperature": 0, "num_predict": 400}
                body = {"model": model, "prompt": counted(1, 39), "raw": True, "options": options}
                response = stack.enter_context(server.http.stream("POST", "/api/generate", json=body))
                answers.append(response.iter_lines())
                next(answers[-1])
            rows = server.http.get("/api/ps").json()["models"]
        assert [on_devices(row) for row in rows if row["name"] == MODEL] == [LAYERS]
        assert [0 < on_devices(row) < LAYERS for row in rows if row["name"] == str(other)] == [True]
        assert 119 * MB < sum(row["vram_used"] for row in rows) <= limit_bytes
        assert all(row["vram_total"] == limit_bytes for row in rows)
        for model in (MODEL, str(other)):
            server.ask("/api/generate", keep_alive=0, model=model)
        assert server.generate(counted(1, 39), predict=8, model=str(other))["response"].startswith("40 41")
        assert on_devices(server.loaded()) == LAYERS  # what the others had is free


def test_a_growth_takes_what_idle_models_have_of_the_device(
    log: Path, worker: Worker, model_path: Path, tmp_path: Path
) -> None:
    """And leaves alone who has nothing there."""
    on_worker, on_host = tmp_path / "on_worker.gguf", tmp_path / "on_host.gguf"
    for path in (on_worker, on_host):
        path.symlink_to(model_path)
    # the first one takes 119 MB, and the second one leaves some MB beside it, where 1024 cells would take 12 more
    settings = using(worker, SWELL_DEVICE_MEMORY="237MB", OLLAMA_KV_CACHE_GROW="64", OLLAMA_MAX_LOADED_MODELS="3")
    with running(log, settings) as server:
        server.generate("1 2 3", predict=1, model=str(on_host), options={"num_gpu": 0})
        for model in (MODEL, str(on_worker)):
            server.generate("1 2 3", predict=1, model=model)
        assert len(server.http.get("/api/ps").json()["models"]) == 3
        answer = server.generate(counted(200, 225), predict=8)  # 900 tokens
        assert answer["response"] == expected(425, len(answer["response"]))
        assert "resumed" not in answer
        rows = {row["name"]: row for row in server.http.get("/api/ps").json()["models"]}
        assert set(rows) == {MODEL, str(on_host)}
        assert on_devices(rows[MODEL]) == LAYERS
        relief = server.http.get("/stats").json()["server"]["relief"]
        assert relief == {Source.IDLE_MODELS.value: 1}


def test_a_part_of_each_device_and_names_that_are_not_there(log: Path, worker: Worker) -> None:
    limits = "Vulkan7=1GB,30%"
    with running(log, using(worker, SWELL_DEVICE_MEMORY=limits)) as server:
        server.generate(counted(1, 39), predict=2)
        assert server.loaded()["vram_total"] == 120 * MB
        assert "SWELL_DEVICE_MEMORY names Vulkan7; there is no such device" in log.read_text()


def test_a_limit_below_any_layer_leaves_all_in_host_memory(log: Path, worker: Worker) -> None:
    with running(log, using(worker, SWELL_DEVICE_MEMORY="1MB")) as server:
        assert server.generate(counted(1, 39), predict=8)["response"].startswith("40 41")
        assert on_devices(server.loaded()) == 0


def test_more_layers_than_the_limit_has_room_for_are_an_error(log: Path, worker: Worker) -> None:
    """`num_gpu` is an order. It used to be met whatever was there; the limit is never."""
    body = {"model": MODEL, "prompt": "1 2 3", "stream": False, "options": {"num_gpu": LAYERS}}
    with running(log, using(worker, SWELL_DEVICE_MEMORY="60MB")) as server:
        response = server.http.post("/api/generate", json=body)
        assert (response.status_code, "unable to load model" in response.text) == (500, True)
        assert server.generate(counted(1, 39), predict=8, options={"num_gpu": 8})["response"].startswith("40 41")


SHAPE = ContextShape(cells=4096, slots=1, batch_tokens=BATCH_TOKENS, threads=1)
POLICY = GrowthPolicy(initial_cells=256, block_cells=256, max_cells=4096)


@pytest.fixture(scope="module")
def governed(workers: tuple[Worker, Worker]) -> Iterator[tuple[Device, DeviceAccount, DeviceLedger]]:
    """A device whose buffers are governed, in this process."""
    logs.route()
    layout.check()
    (device,) = worker_devices(workers[0].address)
    ledger = DeviceLedger.create(1)
    ledger.open_page(device.name, LIMIT_BYTES)
    account = ledger.account(device.name, 0)
    yield device.governed(account), account, ledger
    account.limit_bytes = None  # for tests after these: what governs stays


@pytest.mark.parametrize("layers", [LAYERS, 16])
@pytest.mark.parametrize("cache_type", [CacheType.F16, CacheType.Q8_0])
@pytest.mark.parametrize("kind", [CopiedStore, PlacedStore])
def test_a_growth_beyond_the_limit_is_refused_and_all_is_counted_back(
    governed: tuple[Device, DeviceAccount, DeviceLedger],
    model_path: Path,
    kind: type[CopiedStore] | type[PlacedStore],
    cache_type: CacheType,
    layers: int,
) -> None:
    device, account, _ = governed
    assert account.taken_bytes == 0
    before = device.memory().free_bytes
    with LlamaModel(model_path, Placement(shares=(LayersOn(device.name, layers),)), [device]) as model:
        weights_bytes = account.taken_bytes
        assert weights_bytes == model.device_bytes[device.name] > 0
        account.limit_bytes = weights_bytes + 30 * MB
        shape = dataclasses.replace(SHAPE, cache_type=cache_type)
        with contextlib.closing(kind(model, shape, POLICY, OpenAdmission())) as store:
            assert account.taken_bytes == weights_bytes + store.context.device_bytes[device.name]
            prompt = model.vocabulary.tokenize(counted(1, 39), add_special=True, parse_special=False)
            tokens = generate(store, 0, prompt, 20)
            taken_bytes, capacity = account.taken_bytes, store.capacity_cells
            account.limit_bytes = taken_bytes + MB
            with pytest.raises(KvGrowError):
                store.ensure(0, 3000)
            assert (account.taken_bytes, store.capacity_cells) == (taken_bytes, capacity)
            account.limit_bytes = weights_bytes + 300 * MB
            _grows_and_shrinks(store, account)
            tokens += generate(store, 0, tokens[-1:], 20)
            text = b"".join(map(model.vocabulary.piece, tokens)).decode()
            assert text == expected(40, len(text))
        assert account.taken_bytes == weights_bytes
        account.limit_bytes = LIMIT_BYTES
    assert account.taken_bytes == 0
    assert device.memory().free_bytes == before


def _grows_and_shrinks(store: CapacityStore, account: DeviceAccount) -> None:
    before = account.taken_bytes
    store.ensure(0, 3000)
    assert account.taken_bytes > before
    store.compact([0])
    assert account.taken_bytes == before


def test_weights_beyond_the_limit_are_refused_and_counted_back(
    governed: tuple[Device, DeviceAccount, DeviceLedger], model_path: Path
) -> None:
    device, account, _ = governed
    account.limit_bytes = 50 * MB
    with pytest.raises(ModelLoadError):
        LlamaModel(model_path, Placement(shares=(LayersOn(device.name, LAYERS),)), [device])
    assert account.taken_bytes == 0
    account.limit_bytes = LIMIT_BYTES
