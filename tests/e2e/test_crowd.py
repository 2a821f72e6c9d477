"""Many clients at once: nothing is left of them, and nobody waits for the slow ones."""

import asyncio
import json
import random
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from tests.e2e.server import MODEL, Server, running, wait_until

REQUESTS, ROUNDS = 200, 3
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
        assert most <= least * 1.05, (name, found)


def test_a_slow_reader_stops_nobody_and_loses_nothing(server: Server) -> None:
    predict = 300
    options = {"temperature": 0, "num_predict": predict}
    wish = {"model": MODEL, "prompt": "1 2 3 4 5 6", "raw": True, "options": options}
    content = json.dumps({**wish, "logprobs": True, "top_logprobs": 20}).encode()  # 2 kB a line: no buffer holds all
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((host, int(port)))
        head = ["POST /api/generate HTTP/1.1", f"Host: {host}", "Connection: close", f"Content-Length: {len(content)}"]
        slow.sendall("\r\n".join([*head, "", ""]).encode() + content)
        wait_until(lambda: bool(server.http.get("/api/ps").json()["models"]), "the model is loaded")
        for number in range(4):
            assert server.generate(f"Others go on: {number}", predict=4)["done"] is True
        wait_until(
            lambda: server.http.get("/stats").json()["models"][0]["stats"]["slots_in_use"] == 0, "all is computed"
        )
        received = bytearray()
        while data := slow.recv(65536):
            received += data
    lines = [json.loads(line) for line in received.splitlines() if line.startswith(b"{")]
    assert lines[-1]["done"] is True
    assert lines[-1]["eval_count"] == len(lines) - 1 == predict
