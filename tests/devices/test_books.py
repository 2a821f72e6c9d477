"""The books of a cache in several places: each place's part is booked as that place's memory, and no other's."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.counting import counted
from tests.devices.asking import using
from tests.devices.worker import Worker
from tests.e2e.server import running
from tests.kv.admitting import SetMemory
from tests.kv.driving import BATCH_TOKENS, fill

from swell.devices import LayersOn, Placement
from swell.errors import KvGrowError
from swell.kv.admission import Admission
from swell.kv.base import KvStore
from swell.kv.copied import CopiedStore
from swell.kv.eager import EagerStore
from swell.kv.placed import AdmissionLimits, DeviceAdmission
from swell.kv.placed_store import PlacedStore
from swell.kv.policy import GrowthPolicy
from swell.llama import layout, logs
from swell.llama.context import ContextShape
from swell.llama.devices import Device, worker_devices
from swell.llama.model import LlamaModel
from swell.memory.ledger import Entry, Ledger

pytestmark = pytest.mark.devices

LAYERS = 30  # that have a cache; the output is one more
CELL_BYTES = 23_040
SHAPE = ContextShape(cells=2048, slots=1, batch_tokens=BATCH_TOKENS, threads=1)
POLICY = GrowthPolicy(initial_cells=256, block_cells=256, max_cells=2048)
MB = 1_000_000


@pytest.fixture(scope="module")
def device(workers: tuple[Worker, Worker]) -> Device:
    logs.route()
    layout.check()
    return worker_devices(workers[0].address)[0]


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with contextlib.closing(Ledger.create(1)) as made:
        yield made


def opened(kind: type[KvStore], model: LlamaModel, admission: Admission) -> KvStore:
    if kind is EagerStore:
        return EagerStore(model, SHAPE, admission)
    return (PlacedStore if kind is PlacedStore else CopiedStore)(model, SHAPE, POLICY, admission)


@pytest.mark.parametrize("layers", [LAYERS + 1, 16])
@pytest.mark.parametrize("kind", [PlacedStore, CopiedStore, EagerStore])
def test_each_place_is_booked_with_its_part(
    device: Device, ledger: Ledger, model_path: Path, kind: type[KvStore], layers: int
) -> None:
    host = SetMemory(200 * MB)
    limits = AdmissionLimits(budget_bytes=None, headroom_bytes=0, device_headroom_bytes=0)
    with contextlib.ExitStack() as stack:
        model = stack.enter_context(
            LlamaModel(model_path, Placement(shares=(LayersOn(device.name, layers),)), [device])
        )
        admission = DeviceAdmission(ledger, 0, host, devices=model.measure_devices, limits=limits)
        store, part = stack.enter_context(contextlib.closing(opened(kind, model, admission))), (layers - 1) / LAYERS

        def check() -> Entry:
            entry = ledger.entry(0)
            assert entry.granted_bytes + entry.device_bytes == store.booked_bytes
            assert entry.device_bytes == pytest.approx(store.booked_bytes * part, abs=LAYERS)
            assert entry.device_bytes == pytest.approx(sum(store.measure().devices.values()), rel=0.01)
            assert ledger.spare_bytes(lambda: 0) == entry.used_bytes - entry.granted_bytes
            assert store.check_integrity() == []
            ledger.check()
            return entry

        small = check()
        fill(store, 0, 1000)
        large = check()
        if kind is not EagerStore:
            assert large.device_bytes > small.device_bytes
            if layers <= LAYERS:  # what is short is named
                host.bytes = 0
                with pytest.raises(KvGrowError) as refused:
                    store.ensure(0, 2048)
                assert (refused.value.device, refused.value.needed_bytes > refused.value.free_bytes) == ("", True)
                assert check()._replace(used_bytes=large.used_bytes) == large  # what is in use is noted then
            store.rewind(0, 0)
            store.compact([0])
            assert check().device_bytes < large.device_bytes
    assert ledger.entry(0) == Entry(0, 0)


def test_a_device_that_is_full_is_named(device: Device, ledger: Ledger, model_path: Path) -> None:
    with LlamaModel(model_path, Placement(shares=(LayersOn(device.name, LAYERS + 1),)), [device]) as model:
        free_bytes = device.memory().free_bytes
        limits = AdmissionLimits(
            budget_bytes=None, headroom_bytes=0, device_headroom_bytes=free_bytes - 1000 * CELL_BYTES
        )
        admission = DeviceAdmission(ledger, 0, SetMemory(0), devices=model.measure_devices, limits=limits)
        shape = dataclasses.replace(SHAPE, cells=1024)
        policy = dataclasses.replace(POLICY, max_cells=1024)
        with contextlib.closing(CopiedStore(model, shape, policy, admission)) as store:
            fill(store, 0, 250)
            with pytest.raises(KvGrowError, match=rf"MB free on {device.name}$"):
                store.ensure(0, 1024)
        assert ledger.entry(0) == Entry(0, 0)


def test_the_budget_counts_what_lies_on_a_worker(log: Path, workers: tuple[Worker, Worker]) -> None:
    settings = {"SWELL_KV_BUDGET": str(600 * CELL_BYTES), "SWELL_RESUME_ATTEMPTS": "0", "SWELL_KV_WAIT": "0"}
    with running(log, using(workers[0], **settings)) as server:
        body = {"prompt": counted(1, 250), "raw": True, "stream": False, "model": "smollm2:135m"}
        response = server.http.post("/api/generate", json=body)
        assert response.status_code == 400
        assert response.json()["error"].endswith("MB free")  # not on the worker, which has more
        assert server.generate(counted(1, 39), predict=2)["response"].startswith("40")
        assert server.loaded()["kv_granted"] <= 600 * CELL_BYTES
        assert server.http.get("/stats").json()["server"]["faults"] == []
