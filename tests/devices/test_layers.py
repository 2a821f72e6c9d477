"""A model on workers: where its layers are, what it says, and what the server says of it."""

import threading
from pathlib import Path
from typing import Any

import pytest
from benchmarks.serve.neighbours import busy
from tests.devices.asking import COUNTING, FOX, ask, stats, using
from tests.devices.worker import Worker, lending
from tests.e2e.server import Server, running
from tests.tiny.encoder import write_bert

from swell.processors.allowance import affinity

pytestmark = pytest.mark.devices

LAYERS = 31  # with the output
CELL_BYTES = 23_040
WEIGHTS_BYTES = 96_576_768  # of all that can be on a device

Workers = tuple[Worker, Worker]


def layers(server: Server) -> dict[str, int]:
    return {device["name"]: device["layers"] for device in server.loaded()["devices"]}


def test_one_worker_is_enough_for_a_small_model(log: Path, workers: Workers, local_answer: dict[str, Any]) -> None:
    with running(log, using(*workers)) as server:
        assert ask(server)["response"] == local_answer["response"]
        assert layers(server) == {workers[0].address: LAYERS}
        row = server.loaded()
        assert row["size"] == row["size_vram"] == row["vram_used"] == row["vram_total"] - row["vram_free"]


def test_layers_are_spread_as_planned(log: Path, workers: Workers, local_answer: dict[str, Any]) -> None:
    with running(log, using(*workers, OLLAMA_SCHED_SPREAD="1")) as server:
        assert ask(server)["response"] == local_answer["response"]
        first, second = layers(server).values()
        assert first + second == LAYERS
        found = stats(server)
        weights, kv = ([device[kind] for device in found["devices"]] for kind in ("weights_bytes", "kv_bytes"))
        assert sum(weights) == WEIGHTS_BYTES
        assert sum(kv) == found["kv_resident_bytes"] >= found["context_used"] * CELL_BYTES
        assert kv[0] == pytest.approx(sum(kv) * first / (LAYERS - 1), abs=LAYERS)
        for worker, device in zip(workers, server.loaded()["devices"], strict=True):
            assert device["name"] == worker.address
            assert device["used"] == device["total"] - device["free"]


def test_what_is_shown_is_what_the_kernel_counts(log: Path) -> None:
    with (
        lending(log.with_name("worker.log")) as worker,
        running(log, using(worker, OLLAMA_KV_CACHE_INIT="8192")) as server,
    ):
        before = worker.idle_bytes()
        ask(server)
        taken = worker.written_bytes() - before
        assert server.loaded()["size_vram"] == pytest.approx(taken, rel=0.05)


def test_a_model_too_large_for_one_is_on_two(log: Path, local_answer: dict[str, Any]) -> None:
    with (
        lending(log.with_name("first.log"), "100MB") as first,
        lending(log.with_name("second.log"), "90MB") as second,
    ):
        with running(log, using(first, second)) as server:
            assert ask(server)["response"] == local_answer["response"]
            assert sum(layers(server).values()) == LAYERS
            assert len(layers(server)) == 2
        with running(log, using(second)) as server:  # and what two can't hold either, is in host memory
            assert server.generate(COUNTING, predict=12)["response"].startswith("40 41 42")
            assert 0 < layers(server)[second.address] < LAYERS
            row = server.loaded()
            assert row["size"] == row["size_vram"] + row["ram_used"]


def test_estimates_are_corrected(log: Path, workers: Workers) -> None:
    with running(log, using(*workers, OLLAMA_DEBUG="1")) as server:
        for _ in range(2):
            server.ask("/api/generate")
            taken = server.loaded()["size_vram"]
            server.ask("/api/generate", keep_alive=0)
        expectations = [line for line in log.read_text().splitlines() if "expected" in line]
        assert f"{{'{workers[0].address}': {taken}}}, took" in expectations[-1]


def test_two_servers_share_a_worker(log: Path, workers: Workers, local_answer: dict[str, Any]) -> None:
    settings = using(workers[0])
    with running(log, settings) as server, running(log.with_name("other.log"), settings) as other:
        answers: list[dict[str, Any]] = []
        threads = [threading.Thread(target=lambda at=at: answers.append(ask(at))) for at in (server, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answer["response"] for answer in answers] == [local_answer["response"]] * 2


def test_a_workers_threads_follow_its_machine_and_the_text_stays(log: Path, local_answer: dict[str, Any]) -> None:
    with lending(log.with_name("worker.log"), threads=0) as worker, running(log, using(worker)) as server:
        assert ask(server)["response"] == local_answer["response"]
        with busy(len(affinity())):
            again = server.generate("Once upon a time", predict=40)
            assert again["eval_count"] == 40
            server.ask("/api/generate", keep_alive=0)  # nothing is cached, so all is computed beside the neighbours
            assert ask(server)["response"] == local_answer["response"]
            assert layers(server) == {worker.address: LAYERS}


def test_embeddings_come_from_workers_too(log: Path, workers: Workers, tmp_path: Path) -> None:
    path = tmp_path / "bert.gguf"
    write_bert(path)
    inputs = [FOX, "Something else"]
    with running(log.with_name("local.log")) as server:
        expected = server.ask("/api/embed", model=str(path), input=inputs)["embeddings"]
    with running(log, using(*workers)) as server:
        found = server.ask("/api/embed", model=str(path), input=inputs)["embeddings"]
        assert server.loaded()["size_vram"] > 0
    for vector, other in zip(expected, found, strict=True):
        assert vector == pytest.approx(other, abs=1e-5)


def test_options_move_layers_and_others_leave_them_where_they_are(log: Path, workers: Workers) -> None:
    first, second = (worker.address for worker in workers)
    wishes: tuple[tuple[dict[str, Any], dict[str, int]], ...] = (
        ({}, {first: LAYERS}),
        ({"num_gpu": 5}, {first: 5}),
        ({"num_gpu": 999}, {first: LAYERS}),
        ({"num_gpu": 8, "main_gpu": 1}, {second: 8}),
    )
    with running(log, using(*workers)) as server:
        for options, expected in wishes:
            server.generate("1 2 3", predict=1, options=options)
            assert layers(server) == expected
            runner = server.runner().pid
            for same in (options, {}, {"num_ctx": 64}):
                server.generate("1 2 3", predict=1, options=same)
                assert server.runner().pid == runner
        server.generate("1 2 3", predict=1, options={"num_gpu": 0})
        assert server.loaded()["size_vram"] == 0
        response = server.http.post(
            "/api/generate", json={"model": "smollm2:135m", "stream": False, "options": {"main_gpu": 2, "num_gpu": 1}}
        )
        assert response.status_code == 400
        assert response.json()["error"].startswith("main_gpu 2 is not there")
