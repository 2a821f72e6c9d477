"""What happens when workers end or aren't there."""

import contextlib
import json
import socket
import threading
from pathlib import Path

import pytest
from tests.devices.asking import SETTINGS, using
from tests.devices.worker import Worker, lending
from tests.e2e.server import MODEL, Server, running
from tests.waiting import wait_until

pytestmark = [pytest.mark.devices, pytest.mark.destructive]

STORY = {"model": MODEL, "prompt": "Once upon a time", "raw": True, "options": {"temperature": 0, "num_predict": 40}}


def device(server: Server) -> str:
    (only,) = server.loaded()["devices"]
    return str(only["name"])


def test_a_worker_that_ends_while_idle_is_noticed_and_the_model_loads_elsewhere(log: Path) -> None:
    with lending(log.with_name("1.log"), "400MB") as large, lending(log.with_name("2.log"), "300MB") as small:
        with running(log, using(large, small)) as server:
            before = server.generate("1 2 3 4 5 6 7 8 9 10 ", predict=8)["response"]
            assert device(server) == large.address
            large.kill()
            wait_until(lambda: server.http.get("/api/ps").json() == {"models": []}, "the loss is noticed")
            assert server.generate("1 2 3 4 5 6 7 8 9 10 ", predict=8)["response"] == before
            assert device(server) == small.address
            small.kill()
            wait_until(lambda: server.http.get("/api/ps").json() == {"models": []}, "the loss is noticed")
            assert server.generate("1 2 3 4 5 6 7 8 9 10 ", predict=8)["response"] == before
            assert server.loaded()["size_vram"] == 0
        text = log.read_text()
        assert f"the worker {large.address} is gone" in text
        assert f"going on without the worker {large.address}" in text


def test_an_answer_goes_on_when_a_worker_ends_in_mid_stream(log: Path) -> None:
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(lending(log.with_name(f"{number}.log"))) for number in (1, 2))
        with running(log, using(first, second, OLLAMA_SCHED_SPREAD="1")) as server:
            with server.http.stream("POST", "/api/generate", json=STORY) as response:
                lines = response.iter_lines()
                for _ in range(5):
                    assert json.loads(next(lines))["done"] is False
                second.kill()
                last = [json.loads(line) for line in lines][-1]
            assert (last["done_reason"], last["eval_count"]) == ("length", 40)
            assert last["resumed"]
            assert f"the worker {second.address} was lost" in log.read_text()
            assert server.generate("1 2 3 4 5", predict=2)["done"] is True
            assert device(server) == first.address


def test_what_a_runner_took_is_free_when_it_is_gone(log: Path, workers: tuple[Worker, Worker]) -> None:
    with running(log, using(workers[0])) as server:
        for _ in range(2):
            server.generate("1 2 3", predict=1)
            row = server.loaded()
            assert row["vram_used"] + row["vram_free"] == row["vram_total"]
            server.runner().kill()
            wait_until(lambda: server.http.get("/api/ps").json() == {"models": []}, "the runner is gone")


def test_who_is_no_worker_is_named(log: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        threading.Thread(target=_hang_up, args=(listener,), daemon=True).start()
        with running(log, {**SETTINGS, "SWELL_WORKERS": address}) as server:
            response = server.http.post("/api/generate", json={"model": MODEL, "stream": False})
            assert response.status_code == 500
            assert response.json()["error"].startswith(f"the worker {address} was lost")


def _hang_up(listener: socket.socket) -> None:
    """Whoever comes, at each attempt: who waited for an answer would wait as long as for a worker that computes."""
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()


def test_an_idle_model_makes_way_on_a_worker(log: Path, model_path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.symlink_to(model_path)
    with lending(log.with_name("worker.log"), "200MB") as worker, running(log, using(worker)) as server:
        for model in (MODEL, str(other), MODEL):
            server.generate("1 2 3", predict=1, model=model)
            (only,) = server.loaded()["devices"]  # the one model that is loaded
            assert only["layers"] == 31
