"""What happens when processes die or clients leave."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.e2e.server import MODEL, Server, running
from tests.waiting import is_alive, wait_until

pytestmark = pytest.mark.destructive

LONG = "The quick brown fox jumps over the lazy dog. " * 700
STORY = {
    "model": MODEL,
    "prompt": "Once upon a time",
    "raw": True,
    "options": {"temperature": 0, "num_predict": 4000},
}


def test_a_killed_server_leaves_no_runner_behind(log: Path) -> None:
    with running(log) as server:
        server.generate("Hello", predict=1)
        runner = server.runner()
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not is_alive(runner), "the runner ends")


def test_a_killed_server_leaves_no_frozen_runner_behind(log: Path) -> None:
    with running(log) as server:
        server.generate("Hello", predict=1)
        runner = server.runner()
        runner.send_signal(signal.SIGSTOP)
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not is_alive(runner), "the frozen runner ends")


def test_a_runner_killed_while_it_reads_a_prompt_is_replaced(log: Path) -> None:
    with running(log) as server, ThreadPoolExecutor(1) as client:
        server.ask("/api/generate")
        lost = server.runner()
        coming = client.submit(server.generate, LONG[:4000], predict=1)
        wait_until(lambda: server.loaded()["context_active"] > 0, "it is being read")
        lost.kill()
        answer = coming.result()
        assert answer["resumed"] == ["go on in a new runner"]
        assert answer["eval_count"] == 1
        assert server.runner().pid != lost.pid


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_work_during_a_long_prefill(server: Server, stream: bool) -> None:
    server.ask("/api/generate")
    client = httpx.Client(base_url=server.url, timeout=httpx.Timeout(60, read=1.5), trust_env=False)
    body = {"model": MODEL, "prompt": f"{stream} {LONG}", "raw": True, "stream": stream}
    with client, pytest.raises(httpx.ReadTimeout):
        client.post("/api/generate", json=body)
    wait_until(lambda: server.loaded()["context_active"] == 0, "the slot is free", patience_s=5)
    assert server.loaded()["context_used"] < 6000  # it stopped in the middle


def test_a_client_that_leaves_a_stream_stops_it(server: Server) -> None:
    with server.http.stream("POST", "/api/generate", json=STORY) as response:
        lines = response.iter_lines()
        next(lines)
        wait_until(lambda: server.loaded()["context_active"] > 0, "the slot is busy")
    wait_until(lambda: server.loaded()["context_active"] == 0, "the slot is free", patience_s=5)


def test_a_model_nobody_uses_is_unloaded(log: Path) -> None:
    with running(log, {"OLLAMA_KEEP_ALIVE": "1s"}) as server:
        server.generate("Hello", predict=1)
        runner = server.runner()
        wait_until(lambda: not is_alive(runner), "the runner ends")
        assert server.http.get("/api/ps").json() == {"models": []}
        server.generate("Hello", predict=1, keep_alive=-1)
        time.sleep(1.5)
        assert server.loaded()["expires_at"] > "2300"
        assert server.ask("/api/generate", keep_alive=0)["done_reason"] == "unload"
        wait_until(lambda: server.http.get("/api/ps").json() == {"models": []}, "the model is unloaded")


def test_a_load_that_nobody_waits_for_is_ended(log: Path) -> None:
    with running(log) as server:
        client = httpx.Client(base_url=server.url, timeout=httpx.Timeout(60, read=0.15), trust_env=False)
        with client, pytest.raises(httpx.ReadTimeout):
            client.post("/api/generate", json={"model": MODEL, "stream": False})
        wait_until(lambda: not server.runners(), "the runner ends")
        assert server.http.get("/api/ps").json() == {"models": []}
        server.generate("Hello", predict=1)
