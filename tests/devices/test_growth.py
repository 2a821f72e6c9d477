"""A cache on workers grows, and is refused growth, for real."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.devices.asking import COUNTING, FOX, SETTINGS, ask, stats, using
from tests.devices.worker import Worker, lending
from tests.e2e.server import MODEL, running

from swell.cache import StoreKind
from swell.devices import LayersOn, Placement
from swell.errors import KvGrowError
from swell.kv.admission import OpenAdmission
from swell.kv.copied import CopiedStore
from swell.kv.policy import GrowthPolicy
from swell.llama.context import ContextShape
from swell.llama.devices import worker_devices
from swell.llama.model import LlamaModel
from swell.turns.recovery.ladder import RecoveryStep

pytestmark = pytest.mark.devices

Workers = tuple[Worker, Worker]


def test_it_grows_on_both_workers(log: Path, workers: Workers, local_answer: dict[str, Any]) -> None:
    with running(log, using(*workers, OLLAMA_SCHED_SPREAD="1")) as server:
        server.generate("1 2 3", predict=1)
        before = server.loaded()
        assert stats(server)["store"] == StoreKind.COPIED.value
        assert before["context_allocated"] == 512
        assert ask(server)["response"] == local_answer["response"]
        after = server.loaded()
        assert after["context_allocated"] >= after["context_used"] > 512
        for small, large in zip(before["devices"], after["devices"], strict=True):
            assert large["used"] > small["used"]
            assert large["used"] + large["free"] == large["total"] == small["total"]


def test_a_growth_that_a_worker_has_no_room_for_is_refused_with_the_numbers(log: Path) -> None:
    settings = {"SWELL_RESUME_ATTEMPTS": "0"}
    with lending(log.with_name("worker.log"), "130MB") as worker, running(log, using(worker, **settings)) as server:
        server.generate("1 2 3", predict=1)
        body = {"model": "smollm2:135m", "prompt": FOX * 200, "raw": True, "stream": False}
        response = server.http.post("/api/generate", json=body)
        assert response.status_code == 400
        assert response.json()["error"].startswith("insufficient memory while expanding the KV cache: cells ")
        assert server.generate("1 2 3 4 5 6 7 8 9 10 ", predict=4)["response"].startswith("11")


def test_where_a_worker_has_no_room_fewer_layers_are_there(log: Path) -> None:
    with lending(log.with_name("worker.log"), "130MB") as worker, running(log, using(worker)) as server:
        server.generate("1 2 3", predict=1)
        (before,) = server.loaded()["devices"]
        answer = server.generate(FOX * 200, predict=4)
        assert (answer["response"], answer["eval_count"]) == ("\nThe quick brown", 4)  # as without a worker
        assert set(answer["resumed"]) == {RecoveryStep.OTHER_PLACEMENT.value}
        assert server.http.get("/stats").json()["server"]["rungs"] == Counter(answer["resumed"])
        after = server.loaded().get("devices") or [{"used": 0}]
        assert after[0]["used"] < before["used"] or server.loaded()["size_vram"] == 0


def test_an_answer_goes_on_with_fewer_layers_on_a_worker_that_has_no_more_room(log: Path) -> None:
    """The prompt fits 1024 cells, the answer doesn't. It is refused, by what the worker says it has.

    That a worker's own refusal leaves the cache as it was is the next test.
    """
    prompt, predict = FOX * 90, 180
    with running(log.with_name("alone.log"), SETTINGS) as alone:
        whole = alone.generate(prompt, predict=predict)
    with lending(log.with_name("worker.log"), "130MB") as worker, running(log, using(worker)) as server:
        options = {"temperature": 0, "num_predict": predict}
        body = {"model": MODEL, "prompt": prompt, "raw": True, "options": options}
        with server.http.stream("POST", "/api/generate", json=body) as response:
            lines = [json.loads(line) for line in response.iter_lines()]
        assert set(lines[-1]["resumed"]) == {RecoveryStep.OTHER_PLACEMENT.value}
        assert lines[-1]["eval_count"] == predict
        assert "".join(line["response"] for line in lines) == whole["response"]


def test_an_allocation_that_fails_on_a_worker_leaves_the_cache_as_it_was(model_path: Path, tmp_path: Path) -> None:
    with lending(tmp_path / "worker.log", "130MB") as worker:
        devices = worker_devices(worker.address)
        placement = Placement(shares=(LayersOn(worker.address, 31),))
        shape = ContextShape(cells=8192, slots=1, batch_tokens=64, threads=1)
        policy = GrowthPolicy(initial_cells=512, block_cells=256, max_cells=8192)
        with LlamaModel(model_path, placement, devices) as model:
            store = CopiedStore(model, shape, policy, OpenAdmission())
            with pytest.raises(KvGrowError) as refused:
                store.ensure(0, 4000)
            assert (refused.value.from_cells, refused.value.to_cells) == (512, 4000)
            assert store.capacity_cells == 512
            store.ensure(0, 600)
            assert store.capacity_cells == 1024
            store.close()
        assert "refused" in worker.log.read_text()


def test_with_the_cache_in_host_memory_it_is_reserved(log: Path) -> None:
    roomy = {"OLLAMA_KV_CACHE_INIT": "8192"}
    with lending(log.with_name("worker.log"), "125MB") as worker, running(log, using(worker, **roomy)) as server:
        assert server.generate(COUNTING, predict=12)["response"].startswith("40 41 42")
        found = stats(server)
        assert found["store"] == StoreKind.RESERVED.value
        (device,) = found["devices"]
        assert (device["layers"], device["kv_bytes"]) == (31, 0)
        row = server.loaded()
        assert row["size"] == row["size_vram"] + row["ram_used"]
