"""Random and malformed requests to every route: no 5xx, nothing hangs, nothing leaks."""

import hashlib
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import psutil
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from tests.e2e.bodies import Json
from tests.e2e.drawn_requests import (
    BASE,
    BODIES,
    CHANGES,
    ENDLESS,
    METHODS,
    NOBODY,
    REFUSED,
    UPLOAD,
    Asked,
    Known,
    random_changes,
    random_requests,
    requests_of_all_sizes,
    right_changes,
)
from tests.e2e.server import Server, running
from tests.registry.scripted import ScriptedRegistry
from tests.tiny.encoder import write_bert
from tests.tiny.speller import write_speller
from tests.waiting import wait_until

REQUESTS = 2000
WHOLE_REQUESTS = 300
CHANGE_REQUESTS = 200
WARM_UP = 300
"""Requests after which everything that is ever loaded is."""
HANG_S = 20.0
GROWTH_BYTES = 24 * 2**20
"""What a process may grow by: allocators keep some of what they once had."""
RENDERING_FILES = 12
"""Four processes that render templates, three files each: they are started when they are needed."""

DEMANDED = {
    500: re.compile(
        r'option "\w+" must be of type |invalid format: "|template error: |the connection to \S+ failed: |'
        "the input length exceeds the context length"
    ),
    501: re.compile(r'".*" does not support embeddings', re.DOTALL),
}
"""The 5xx that Ollama's own endpoints give to bad requests; its clients expect them, so they are kept."""


def test_every_route_has_a_body() -> None:
    with_bodies = {path for path, methods in METHODS.items() if {"POST", "DELETE"} & set(methods)}
    assert with_bodies == {*BODIES, *CHANGES, UPLOAD, *REFUSED}


@dataclass(frozen=True)
class Target:
    """A server, a client that doesn't wait for long, and what they know of."""

    server: Server
    http: httpx.Client
    known: Known


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    place: Path = tmp_path_factory.mktemp("random requests")
    speller, encoder = place / "speller.gguf", place / "encoder.gguf"
    write_speller(speller)
    write_bert(encoder)
    content = speller.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    registry = ScriptedRegistry()
    registry.add([content, b"{}"])
    settings = {
        "OLLAMA_CONTEXT_LENGTH": "128",  # because a request without a limit writes ten windows
        "OLLAMA_MODELS": str(place / "models"),
        # Some of the names are those of models in the world.
        "HTTPS_PROXY": NOBODY,
        "HTTP_PROXY": NOBODY,
        "NO_PROXY": "127.0.0.1",
    }
    with (
        registry.serving(),
        running(place / "log", settings) as server,
        httpx.Client(base_url=server.url, timeout=HANG_S, trust_env=False) as http,
    ):
        http.post(f"/api/blobs/{digest}", content=content).raise_for_status()
        http.post("/api/create", json={"model": BASE, "files": {"m.gguf": digest}}).raise_for_status()
        yield Target(server, http, Known(str(speller), str(encoder), digest, f"http://{registry.host}/library/m"))


class Footprint(NamedTuple):
    """What a process holds: resident memory and open files."""

    resident_bytes: int
    files: int


def _send(http: httpx.Client, asked: Asked) -> httpx.Response:
    escaped = urllib.parse.quote(asked.path.encode("utf-8", "surrogatepass")).encode()
    url = http.base_url.copy_with(raw_path=escaped)
    with http.stream(asked.method, url, content=asked.content) as response:
        if (asked.method, asked.path, response.status_code) == ("GET", ENDLESS, 200):
            next(response.iter_raw())
            return httpx.Response(200, request=response.request)
        response.read()
        return response


def _is_well_answered(response: httpx.Response) -> bool:
    """No 5xx but the demanded ones, and a stream ends as its kind must."""
    if response.status_code >= 500:
        demanded = DEMANDED.get(response.status_code)
        is_native = response.request.url.path.startswith("/api/")
        return is_native and demanded is not None and demanded.match(response.json()["error"]) is not None
    content_type = response.headers.get("content-type", "")
    if content_type == "text/event-stream":
        *_, last, rest = response.text.split("\n\n")
        ends = ("data: [DONE]", "event: response.completed\n", "event: message_stop\n")
        return rest == "" and last.startswith(ends)
    if content_type == "application/x-ndjson":
        last_line = msgspec.json.decode(response.text.splitlines()[-1])
        return bool(last_line.get("done") or last_line.get("status") == "success" or "error" in last_line)
    return True


def _send_all(
    target: Target, requests: Json, count: int, after: Callable[[Counter[tuple[str, int]]], object] = bool
) -> Counter[tuple[str, int]]:
    """Send so many; all must be answered well. Returns how many answers of which status each path gave.

    `after` is called with these after each one. Nothing is shrunk: what matters may be what was sent before.
    """
    wrong: list[tuple[Asked, int, str]] = []
    statuses: Counter[tuple[str, int]] = Counter()

    @settings(
        max_examples=count,
        phases=(Phase.generate,),
        database=None,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(requests)
    def send(asked: Asked) -> None:
        response = _send(target.http, asked)
        statuses[asked.path, response.status_code] += 1
        if not _is_well_answered(response):
            wrong.append((asked, response.status_code, response.text))
        after(statuses)

    send()
    assert not wrong
    return statuses


def test_an_answer_without_end_is_begun(target: Target) -> None:
    assert _send(target.http, Asked("GET", ENDLESS, b"not asked for")).status_code == 200


@pytest.mark.slow
def test_random_requests(target: Target) -> None:
    before: dict[int, Footprint] = {}

    def look(statuses: Counter[tuple[str, int]]) -> None:
        if statuses.total() == WARM_UP:
            before.update(_footprints(target.server))

    statuses = _send_all(target, random_requests(target.known), REQUESTS, look)
    assert statuses.total() >= REQUESTS
    assert all(statuses[path, 200] and statuses[path, 400] for path in BODIES), statuses  # it isn't all nonsense
    after = _footprints(target.server)
    assert len(after) == len(before)
    for pid in after.keys() & before.keys():
        assert after[pid].resident_bytes - before[pid].resident_bytes < GROWTH_BYTES
        assert after[pid].files <= before[pid].files + RENDERING_FILES


@pytest.mark.slow
def test_random_requests_of_all_sizes(target: Target) -> None:
    """Whatever somebody else asked before, the next ordinary request is answered, and the books are right."""
    ordinary = {"model": target.known.speller, "prompt": "abc", "raw": True, "stream": False}

    def ask(_: object) -> None:
        response = target.http.post("/api/generate", json={**ordinary, "options": {"num_predict": 3}})
        assert response.status_code == 200, response.text

    _send_all(target, requests_of_all_sizes(target.known), WHOLE_REQUESTS, ask)
    assert target.http.get("/stats").json()["server"]["faults"] == []


@pytest.mark.slow
def test_random_changes(target: Target) -> None:
    right = right_changes(target.known)
    assert {asked.path for asked in right} == set(CHANGES)
    assert [_send(target.http, asked).status_code for asked in right] == [200] * len(right)
    statuses = _send_all(target, random_changes(target.known), CHANGE_REQUESTS)
    for status in (200, 400):  # it isn't all nonsense
        assert sum(statuses[path, status] for path in CHANGES) > CHANGE_REQUESTS / 10, statuses
    assert BASE in {model["name"].removesuffix(":latest") for model in target.http.get("/api/tags").json()["models"]}


def _footprints(server: Server) -> dict[int, Footprint]:
    """Those of the server and its runners, by process, once nothing is being done."""
    wait_until(lambda: _busy_slots(server) == 0, "all slots idle")
    processes = [psutil.Process(server.process.pid), *server.runners()]
    return {process.pid: Footprint(process.memory_info().rss, process.num_fds()) for process in processes}


def _busy_slots(server: Server) -> int:
    rows = server.http.get("/stats").json()["models"]
    return sum(row["stats"]["slots_in_use"] for row in rows)
