"""Random and malformed requests to every route: no 5xx, nothing hangs, nothing leaks."""

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
from hypothesis import strategies as st
from tests.e2e.bodies import ANYTHING, TEXTS, Json, Special, bodies, encoded
from tests.e2e.server import Server, running
from tests.tiny.encoder import write_bert
from tests.tiny.speller import write_speller
from tests.waiting import wait_until

from swell.api.anthropic.bodies import CountRequest, MessagesRequest
from swell.api.app import ROUTES
from swell.api.ollama.bodies import ChatBody, EmbedBody, EmbeddingsBody, GenerateBody, ShowBody
from swell.api.openai.bodies import ChatRequest, CompletionRequest, EmbeddingRequest, ResponseRequest
from swell.options import Options

REQUESTS = 2000
WHOLE_REQUESTS = 300
WARM_UP = 300
"""Requests after which everything that is ever loaded is."""
HANG_S = 20.0
GROWTH_BYTES = 24 * 2**20
"""What a process may grow by: allocators keep some of what they once had."""
RENDERING_FILES = 12
"""Four processes that render templates, three files each: they are started when they are needed."""

BODIES: dict[str, type[msgspec.Struct]] = {
    "/api/show": ShowBody,
    "/api/generate": GenerateBody,
    "/api/chat": ChatBody,
    "/api/embed": EmbedBody,
    "/api/embeddings": EmbeddingsBody,
    "/v1/chat/completions": ChatRequest,
    "/v1/completions": CompletionRequest,
    "/v1/embeddings": EmbeddingRequest,
    "/v1/responses": ResponseRequest,
    "/v1/responses/input_tokens": ResponseRequest,
    "/v1/messages": MessagesRequest,
    "/v1/messages/count_tokens": CountRequest,
}

METHODS = {path: methods for routes in ROUTES.values() for path, (methods, _) in routes.items()}

DEMANDED = {
    500: re.compile(
        r'option "\w+" must be of type |invalid format: "|template error: |the input length exceeds the context length'
    ),
    501: re.compile(r'".*" does not support embeddings', re.DOTALL),
}
"""The 5xx that Ollama's own endpoints give to bad requests; its clients expect them, so they are kept."""


def test_every_route_has_a_body() -> None:
    assert {path for path, methods in METHODS.items() if "POST" in methods} == set(BODIES)


@dataclass(frozen=True)
class Target:
    """A server, its two tiny models, and a client that doesn't wait for long."""

    server: Server
    http: httpx.Client
    models: tuple[str, str]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    place: Path = tmp_path_factory.mktemp("random requests")
    speller, encoder = place / "speller.gguf", place / "encoder.gguf"
    write_speller(speller)
    write_bert(encoder)
    # A small window, because a request without a limit writes ten of them.
    with (
        running(place / "log", {"OLLAMA_CONTEXT_LENGTH": "128"}) as server,
        httpx.Client(base_url=server.url, timeout=HANG_S, trust_env=False) as http,
    ):
        yield Target(server, http, (str(speller), str(encoder)))


PARTS = st.sampled_from(
    (
        {"type": "text", "text": "Hi"},
        {"type": "input_text", "text": "Hi"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image", "source": {"type": "base64", "data": "aGk="}},
        {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
        {"type": "tool_result", "tool_use_id": "1", "content": "x"},
        {"type": "thinking", "thinking": "Hm."},
    )
)
ITEMS = st.sampled_from(
    (
        {"role": "user", "content": "Hi"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
        {"type": "reasoning", "encrypted_content": "Hm."},
    )
)
FEW = st.sampled_from((0, 1, 2, 3))


def _options() -> Special:
    """A model that is loaded again has a new process, of which it can't be told whether it leaks: so that is rare."""
    reloading = ("num_gpu", "main_gpu", "use_mmap")
    return {"num_predict": FEW, "num_ctx": st.sampled_from((None, 0, 4, 100)), **dict.fromkeys(reloading, st.none())}


def _special(path: str, models: tuple[str, str]) -> Special:
    """Fields that random values would hardly ever get right, or that would make the test slow."""
    usual, unusual = reversed(models) if "embed" in path else models
    names = (*[usual] * 40, *[unusual] * 4, "", "nonesuch", "a b", "/", "/dev/null", "../x", "a\x00.gguf")
    return {
        "model": st.sampled_from(names),
        "keep_alive": st.sampled_from((*[None] * 9, "5m", 60, -1, "10", True)),
        "options": st.one_of(bodies(Options, _options()), bodies(Options, _options()), ANYTHING),
        "num_predict": FEW,
        "top_logprobs": st.sampled_from((0, 1, 2, 21)),
        "max_tokens": FEW,
        "max_completion_tokens": FEW,
        "max_output_tokens": FEW,
        "n": st.sampled_from((1, 1, 1, 2)),
        "role": st.sampled_from(("user", "user", "assistant", "system", "tool", "developer")),
        "content": TEXTS
        if path.startswith("/api/")
        else st.one_of(TEXTS, st.lists(PARTS, max_size=3), st.lists(ANYTHING, max_size=2)),
        "input": st.one_of(TEXTS, st.lists(TEXTS, max_size=3), st.lists(ITEMS, max_size=3), ANYTHING),
        "prompt": st.one_of(TEXTS, st.lists(TEXTS, max_size=2)) if path == "/v1/completions" else TEXTS,
        "messages": None,
        "format": st.sampled_from((*[None] * 7, "json", {"type": "object"}, {"type": 5}, "x", 5)),
        "think": st.sampled_from((None, None, True, False, "low", "x")),
        "images": st.sampled_from((*[[]] * 15, ["aGk="])),
        "suffix": st.sampled_from((*[""] * 15, "x")),
        "template": st.sampled_from((*[""] * 15, "{{ .Prompt }}", "{{ x", "{% if %}")),
        "context": st.sampled_from((*[[]] * 7, [1, 2], [-1])),
        "previous_response_id": st.sampled_from((*[None] * 15, "x")),
        "conversation": st.sampled_from((*[None] * 15, "x")),
        "background": st.sampled_from((*[False] * 15, True)),
        "reasoning_effort": st.sampled_from((None, None, "none", "high", "x")),
        "effort": st.sampled_from((None, None, "none", "high", "x")),
        "encoding_format": st.sampled_from(("float", "float", "base64", "x")),
        "_debug_render_only": st.sampled_from((*[False] * 15, True)),
    }


WHOLE = st.sampled_from(
    (
        None,
        -(2**63),
        -(10**30),
        -2,
        -1,
        0,
        1,
        2,
        3,
        17,
        511,
        4096,
        2**31 - 1,
        2**31,
        2**53,
        2**63,
        10**30,
        1e-300,
        1e300,
    )
)
KEEP_ALIVES = st.one_of(
    WHOLE,
    st.sampled_from(
        (True, "", "0", "-1", "1ns", "9999999999h", "-9999999999h", "1e12", "NaN", "inf", "5m" * 400, [], {})
    ),
)


def _whole(path: str, models: tuple[str, str]) -> Special:
    """Every number from all of its range. A model is loaded again for many of them, so there are fewer requests."""
    numbers = {name: WHOLE for name in Options.__struct_fields__ if name not in ("stop", "use_mmap", "sched_spread")}
    options = bodies(Options, {**numbers, "use_mmap": st.sampled_from((None, True, False))})
    names = st.sampled_from((*[models["embed" in path]] * 9, *models))
    return {
        **_special(path, models),
        "model": names,
        "keep_alive": KEEP_ALIVES,
        "options": options,
        "raw": st.booleans(),
    }


class Asked(NamedTuple):
    """A request, as text: so a report of a wrong answer shows all of it."""

    method: str
    path: str
    content: bytes


class Footprint(NamedTuple):
    """What a process holds: resident memory and open files."""

    resident_bytes: int
    files: int


def _posts(models: tuple[str, str], special: Callable[[str, tuple[str, str]], Special]) -> list[Json]:
    return [
        st.builds(Asked, st.just("POST"), st.just(path), encoded(bodies(struct, special(path, models))))
        for path, struct in BODIES.items()
    ]


def _requests(models: tuple[str, str]) -> st.SearchStrategy[Asked]:
    posts = _posts(models, _special)
    known = st.sampled_from(list(METHODS))
    paths = st.one_of(known, TEXTS.map(lambda text: f"/v1/models/{text}"), TEXTS.map(lambda text: f"/{text}"))
    methods = st.sampled_from(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"))
    return st.one_of(*posts, st.builds(Asked, methods, paths, st.binary(max_size=8)))


def _send(http: httpx.Client, asked: Asked) -> httpx.Response:
    escaped = urllib.parse.quote(asked.path.encode("utf-8", "surrogatepass")).encode()
    return http.request(asked.method, http.base_url.copy_with(raw_path=escaped), content=asked.content)


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
        return bool(msgspec.json.decode(response.text.splitlines()[-1]).get("done"))
    return True


@pytest.mark.slow
def test_random_requests(target: Target) -> None:
    wrong: list[tuple[Asked, int, str]] = []
    statuses: Counter[tuple[str, int]] = Counter()
    before: dict[int, Footprint] = {}

    # Not shrunk: what matters may be what was sent before.
    @settings(
        max_examples=REQUESTS,
        phases=(Phase.generate,),
        database=None,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(_requests(target.models))
    def send(asked: Asked) -> None:
        response = _send(target.http, asked)
        statuses[asked.path, response.status_code] += 1
        if not _is_well_answered(response):
            wrong.append((asked, response.status_code, response.text))
        if statuses.total() == WARM_UP:
            before.update(_footprints(target.server))

    send()
    assert not wrong
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
    wrong: list[tuple[Asked, int, str]] = []
    native = {"model": target.models[0], "prompt": "abc", "raw": True, "stream": False, "options": {"num_predict": 3}}

    @settings(
        max_examples=WHOLE_REQUESTS,
        phases=(Phase.generate,),
        database=None,
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(st.one_of(_posts(target.models, _whole)))
    def send(asked: Asked) -> None:
        response = _send(target.http, asked)
        if not _is_well_answered(response):
            wrong.append((asked, response.status_code, response.text))
        usual = target.http.post("/api/generate", json=native)
        if usual.status_code != 200:
            wrong.append((asked, usual.status_code, usual.text))

    send()
    assert not wrong
    assert target.http.get("/stats").json()["server"]["faults"] == []


def _footprints(server: Server) -> dict[int, Footprint]:
    """Those of the server and its runners, by process, once nothing is being done."""
    wait_until(lambda: _busy_slots(server) == 0, "all slots idle")
    processes = [psutil.Process(server.process.pid), *server.runners()]
    return {process.pid: Footprint(process.memory_info().rss, process.num_fds()) for process in processes}


def _busy_slots(server: Server) -> int:
    rows = server.http.get("/stats").json()["models"]
    return sum(row["stats"]["slots_in_use"] for row in rows)
