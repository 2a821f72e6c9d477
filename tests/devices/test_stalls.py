"""How long answers stand still while a cache on a worker grows and shrinks."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.counting import counted
from tests.devices.asking import stats, using
from tests.devices.worker import Worker
from tests.e2e.server import Server, running
from tests.waiting import wait_until

pytestmark = pytest.mark.devices


def stalls(server: Server, part: str) -> dict[tuple[str, str], float]:
    """The histogram's `part` ("count" or "sum"), by store and change."""
    return {
        (sample.labels["store"], sample.labels["change"]): sample.value
        for family in text_string_to_metric_families(server.http.get("/metrics").text)
        for sample in family.samples
        if sample.name == f"swell_window_stall_seconds_{part}"
    }


@pytest.mark.parametrize("store", ["placed", "copied"])
def test_moves_on_a_worker_are_measured(log: Path, workers: tuple[Worker, Worker], store: str) -> None:
    settings = {"SWELL_KV_IDLE_SHRINK": "1s"} | ({"SWELL_KV_STORE": "copied"} if store == "copied" else {})
    with running(log, using(workers[0], **settings)) as server:
        server.generate(counted(1, 250), predict=2)
        grown = stalls(server, "count")[store, "growth"]
        assert grown == stats(server)["totals"]["growths"] >= 1

        for _ in range(3):
            server.generate("Hello", predict=1)
        wait_until(lambda: stalls(server, "count").get((store, "shrink"), 0) > 0, "the window falls")
        assert set(stalls(server, "count")) == {(store, "growth"), (store, "shrink")}
        totals = stats(server)["totals"]
        assert sum(stalls(server, "sum").values()) * 1e9 == pytest.approx(totals["stall_ns"], rel=1e-6)
