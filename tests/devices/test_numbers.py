"""What `ps` and `/stats` say of memory adds up, wherever a model's layers are."""

from pathlib import Path

import pytest
from tests.counting import counted
from tests.devices.asking import stats, using
from tests.devices.worker import Worker
from tests.e2e.server import running

pytestmark = pytest.mark.devices

LAYERS = 31  # with the output
WEIGHTS_BYTES = 96_576_768  # of all that can be on a device
CELL_BYTES = 23_040


def test_numbers_add_up_with_all_some_and_no_layers_on_a_worker(log: Path, workers: tuple[Worker, Worker]) -> None:
    with running(log, using(workers[0])) as server:
        for layers in (LAYERS, 12, 0):
            server.generate(counted(1, 39), predict=2, options={"num_gpu": layers})
            row, found = server.loaded(), stats(server)
            devices = found["devices"]
            assert sum(device["layers"] for device in devices) == layers
            assert row["vram_used"] == row["size_vram"] == sum(device["used"] for device in row.get("devices", []))
            assert row["weights_used"] + row["kv_used"] + row["other_used"] == row["vram_used"] + row["ram_used"]
            assert row["size"] == row["vram_used"] + (0 if layers == LAYERS else row["ram_used"])
            parts = ("weights_bytes", "kv_bytes", "compute_bytes")
            assert sum(device[part] for device in devices for part in parts) == row["vram_used"]
            on_devices = sum(device["weights_bytes"] for device in devices)
            assert (on_devices == WEIGHTS_BYTES) is (layers == LAYERS)
            assert row["weights_used"] == pytest.approx(WEIGHTS_BYTES, rel=0.05)  # the rest is in host memory
            kv_on_devices = sum(device["kv_bytes"] for device in devices)
            assert kv_on_devices == 512 * CELL_BYTES * max(0, layers - 1) // (LAYERS - 1)
            assert row["kv_used"] >= kv_on_devices
            if layers == LAYERS:
                assert row["kv_used"] == kv_on_devices
            assert row["vram_used"] + row["vram_free"] == row["vram_total"]
            assert found["faults"] == []
            assert server.http.get("/stats").json()["server"]["faults"] == []
