"""Many clients at once: nothing is left of them, and nobody waits for the slow ones."""

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import STORY, python_path
from tests.tiny.attention import write_llama
from tests.waiting import wait_until

REQUESTS, ROUNDS = 200, 3
FEW = 4
"""Pipes to a helper process that happens to be there; a file that each request left would be there 200 times."""
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
EXTRAS: list[dict[str, Any]] = [{}, {}, {"format": SCHEMA}, {"logprobs": True, "top_logprobs": 2}, {"stream": False}]
OPTIONS: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 1.2, "top_k": 5},
    {"mirostat": 2},
    {"repeat_penalty": 1.3, "repeat_last_n": -1},
    {"stop": ["e"], "num_ctx": 64},
]


@pytest.fixture
def server(tmp_path: Any) -> Iterator[Server]:
    with running(tmp_path / "server.log", {"OLLAMA_NUM_PARALLEL": "8"}) as started:
        yield started


def body(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """A path and a small request of some kind."""
    options = {**chance.choice(OPTIONS), "seed": 1, "num_predict": chance.randint(1, 6)}
    common = {"model": MODEL, "options": options, **chance.choice(EXTRAS)}
    text = "Number " + " ".join(str(chance.randint(0, 99)) for _ in range(chance.randint(1, 4)))
    if chance.random() < 0.2:
        return "/api/chat", {**common, "messages": [{"role": "user", "content": text}]}
    return "/api/generate", {**common, "prompt": text, "raw": True}


async def visit(client: httpx.AsyncClient, seed: int) -> str:
    """One request, which some clients give up; how it ended."""
    chance = random.Random(seed)
    path, content = body(chance)
    patience = asyncio.timeout(chance.uniform(0, 4) if chance.random() < 0.4 else None)
    try:
        async with patience, client.stream("POST", path, json=content) as response:
            lines = [json.loads(line) async for line in response.aiter_lines()]
    except TimeoutError:
        return "left"
    assert response.status_code == 200, lines
    assert lines[-1]["done"] is True, lines[-1]
    return "served"


async def crowd(url: str, number: int) -> list[str]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=240, trust_env=False) as client:
        return await asyncio.gather(*(visit(client, number * REQUESTS + index) for index in range(REQUESTS)))


def remains(server: Server) -> dict[str, float]:
    """What the server's processes hold once nothing is being served."""

    def stats() -> Any:
        return server.http.get("/stats").json()

    wait_until(lambda: stats()["models"][0]["stats"]["slots_in_use"] == 0, "all slots are idle")
    server_process, runner = psutil.Process(server.process.pid), server.runner()
    wait_until(lambda: len(server_process.net_connections()) <= 2, "all connections are closed")
    return {
        "tasks": stats()["server"]["tasks"],
        "server files": server_process.num_fds(),
        "server threads": server_process.num_threads(),
        "server bytes": server_process.memory_info().rss,
        "runner files": runner.num_fds(),
        "runner bytes": runner.memory_info().rss,
    }


@pytest.mark.slow
def test_a_crowd_leaves_nothing_behind(server: Server) -> None:
    asyncio.run(crowd(server.url, 0))  # all there is to load lazily
    found = []
    for number in range(1, ROUNDS + 1):
        ends = asyncio.run(crowd(server.url, number))
        assert {"served", "left"} == set(ends)
        found.append(remains(server))
    for name in found[0]:
        least, most = min(each[name] for each in found), max(each[name] for each in found)
        assert most <= least * 1.05 + (FEW if name == "server files" else 0), (name, found)


def test_a_slow_reader_stops_nobody_and_loses_nothing(server: Server) -> None:
    predict = 300
    options = {"temperature": 0, "num_predict": predict}
    wish = {"model": MODEL, "prompt": "1 2 3 4 5 6", "raw": True, "options": options}
    with _slow_client(
        server, {**wish, "logprobs": True, "top_logprobs": 20}
    ) as slow:  # 2 kB a line: no buffer holds all
        wait_until(lambda: bool(server.http.get("/api/ps").json()["models"]), "the model is loaded")
        for number in range(4):
            assert server.generate(f"Others go on: {number}", predict=4)["done"] is True
        wait_until(
            lambda: server.http.get("/stats").json()["models"][0]["stats"]["slots_in_use"] == 0, "all is computed"
        )
        lines = _lines(slow)
    assert lines[-1]["done"] is True
    assert _tokens(lines) == lines[-1]["eval_count"] == predict


def test_who_reads_nothing_loses_its_connection_and_others_get_their_turn(tmp_path: Path, log: Path) -> None:
    write_llama(tmp_path / "tiny.gguf")
    wish = {"model": MODEL, "prompt": STORY, "raw": True, "options": {"num_predict": -1, "num_ctx": 256}}
    settings = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_MAX_LOADED_MODELS": "1", "SWELL_SEND_TIMEOUT": "1s"}
    with (
        running(log, settings, send_buffer_bytes=4096) as server,
        _slow_client(server, {**wish, "logprobs": True, "top_logprobs": 20}) as slow,
    ):
        wait_until(lambda: "loading" in log.read_text(), "the model is being loaded")
        assert server.generate("x", model=str(tmp_path / "tiny.gguf"), predict=2)["done"] is True
        assert "its client has read nothing for 1 s" in log.read_text()
        assert not any(line["done"] for line in _lines(slow))


def test_who_reads_slowly_does_not_fill_the_server(log: Path) -> None:
    """Its generation is broken off when too many events wait for it, and goes on when it has read them."""
    predict = 300
    wish = {"model": MODEL, "prompt": "1 2 3 4 5 6", "raw": True, "logprobs": True, "top_logprobs": 20}
    wish["options"] = {"temperature": 0, "num_predict": predict}
    settings = {"OLLAMA_NUM_PARALLEL": "1", "PYTHONPATH": python_path("narrow")}

    def stats(server: Server) -> Any:
        return server.http.get("/stats").json()["models"][0]["stats"]

    with running(log, settings, send_buffer_bytes=4096) as server:
        whole = server.ask("/api/generate", **wish)
        with _slow_client(server, wish) as slow:
            wait_until(lambda: stats(server)["totals"]["generated"] > predict, "it has begun")
            wait_until(lambda: stats(server)["slots_in_use"] == 0, "it was broken off")
            assert stats(server)["totals"]["generated"] < 2 * predict
            assert server.generate("Others have the slot", predict=4)["done"] is True
            lines = _lines(slow)
        again = stats(server)["totals"]["generated"] - 2 * predict - 4
        assert 0 <= again < predict // 4  # what was on its way when it was broken off
    assert "".join(line["response"] for line in lines) == whole["response"]
    assert _tokens(lines) == lines[-1]["eval_count"] == predict


@contextlib.contextmanager
def _slow_client(server: Server, wish: dict[str, Any]) -> Iterator[socket.socket]:
    """Has asked for what it wants, and read nothing yet."""
    content = json.dumps(wish).encode()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        head = ["POST /api/generate HTTP/1.1", f"Host: {host}", "Connection: close", f"Content-Length: {len(content)}"]
        client.sendall("\r\n".join([*head, "", ""]).encode() + content)
        yield client


def _lines(client: socket.socket) -> list[Any]:
    """All whole lines that come."""
    received = bytearray()
    while data := client.recv(65536):
        received += data
    return [json.loads(line) for line in received.split(b"\n") if line.startswith(b"{") and line.endswith(b"}")]


def _tokens(lines: list[Any]) -> int:
    """How many there are in an answer with likelihoods; a line may have several."""
    return sum(len(line.get("logprobs", ())) for line in lines)
