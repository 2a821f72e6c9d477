"""A lost runner is a pause: clients see one answer, no token twice and none missing, in every mode."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.e2e.server import MODEL, Server, running, wait_until
from tests.e2e.templates import THINKS, write_with_template
from tests.models.encoder import write_bert

pytestmark = [pytest.mark.slow, pytest.mark.destructive]

KILLS = int(os.environ.get("SWELL_TEST_KILLS", "2"))
"""Per mode; 20 when a release is checked."""
KILLS_PER_ANSWER = 2
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 40}, "story": {"type": "string", "maxLength": 200}},
    "required": ["name", "story"],
}
STORY = "Once upon a time there was a lighthouse keeper who"
TALK = [{"role": "user", "content": "Tell me a story about a lighthouse."}]
Mode = tuple[str, dict[str, Any]]
MODES: dict[str, Mode] = {
    "generate": ("/api/generate", {"prompt": STORY, "raw": True}),
    "generate in one piece": ("/api/generate", {"prompt": STORY, "raw": True, "stream": False}),
    "sampled": ("/api/generate", {"prompt": STORY, "raw": True, "options": {"temperature": 1, "seed": 5, "top_k": 0}}),
    "penalties": ("/api/generate", {"prompt": STORY, "raw": True, "options": {"repeat_penalty": 1.3}}),
    "stop": ("/api/generate", {"prompt": STORY, "raw": True, "options": {"stop": ["lighthouse keeper was"]}}),
    "chat": ("/api/chat", {"messages": TALK}),
    "schema": ("/api/chat", {"messages": TALK, "format": PERSON}),
    "likelihoods": ("/api/chat", {"messages": TALK, "logprobs": True, "top_logprobs": 2}),
    "shift": ("/api/generate", {"prompt": STORY, "raw": True, "options": {"num_ctx": 48, "num_keep": 4}}),
    "thinking": ("/api/chat", {"messages": TALK, "think": True, "model": "thinks"}),
    "openai": ("/v1/chat/completions", {"messages": TALK, "temperature": 0, "max_tokens": 70, "stream": True}),
    "anthropic": ("/v1/messages", {"messages": TALK, "temperature": 0, "max_tokens": 70, "stream": True}),
}


@pytest.fixture(scope="module")
def thinks(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_with_template(model_path, tmp_path_factory.mktemp("models") / "thinks.gguf", THINKS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One slot: a prompt is always cut into the same batches."""
    environment = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_MAX_LOADED_MODELS": "1"}
    with running(tmp_path_factory.mktemp("server") / "log", environment) as started:
        yield started


def answer(server: Server, path: str, body: dict[str, Any], after: Callable[[int], None] = lambda _: None) -> str:
    """What a client gets, without times; `after` hears of each line but the last."""
    options = {"temperature": 0, "num_predict": 70, **body.get("options", {})}
    native = {"options": options} if path.startswith("/api") else {}
    kept: list[str] = []
    with server.http.stream("POST", path, json={"model": MODEL, **body, **native}) as response:
        for number, line in enumerate(response.iter_lines()):
            assert response.status_code == 200, line
            after(number)
            data = line.removeprefix("data: ")
            if data.startswith("{"):
                kept.append(_text(json.loads(data)))
    return "".join(kept)


def _text(line: dict[str, Any]) -> str:
    """The parts of a line that must be the same whatever happens."""
    if "message" in line and "done" in line:
        line = {**line["message"], **{name: line[name] for name in ("logprobs", "eval_count") if name in line}}
    elif "choices" in line:
        line = line["choices"][0]["delta"] if line["choices"] else {}
    elif "delta" in line or "type" in line:
        line = line.get("delta", {})
    assert "error" not in line, line
    names = ("response", "content", "thinking", "text", "eval_count", "logprobs", "reasoning", "stop_reason")
    return "".join(
        json.dumps(line[name]) if name in ("eval_count", "logprobs") else str(line[name] or "")
        for name in names
        if name in line
    )


def fresh(server: Server) -> None:
    """Nothing is cached: the next prompt is read from its beginning, as in a new runner."""
    for runner in server.runners():
        runner.kill()
        runner.wait()


def kill_runner(server: Server) -> None:
    for runner in server.runners():
        runner.kill()


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_runner_is_not_noticed(server: Server, thinks: str, mode: str) -> None:
    path, body = MODES[mode]
    if body.get("model") == "thinks":
        body = {**body, "model": thinks}
    fresh(server)
    expected = answer(server, path, body)
    chance = random.Random(mode)
    for _ in range(-(-KILLS // KILLS_PER_ANSWER)):
        fresh(server)
        if body.get("stream") is False:
            found = _killed_by_time(server, path, body, chance)
        else:
            found = answer(server, path, body, _kills_at(server, set(chance.sample(range(1, 60), KILLS_PER_ANSWER))))
        assert found == expected


def _kills_at(server: Server, moments: set[int]) -> Callable[[int], None]:
    def kill(line: int) -> None:
        if line in moments:
            kill_runner(server)

    return kill


def _killed_by_time(server: Server, path: str, body: dict[str, Any], chance: random.Random) -> str:
    """For answers that come in one piece: the runner is killed at some moment while it generates."""

    def kill() -> None:
        for _ in range(KILLS_PER_ANSWER):
            tokens = server.http.get("/stats")
            while not (tokens.json()["models"] and tokens.json()["models"][0]["stats"]):
                time.sleep(0.02)
                tokens = server.http.get("/stats")
            time.sleep(chance.uniform(0, 0.5))
            kill_runner(server)

    killer = threading.Thread(target=kill)
    killer.start()
    found = answer(server, path, body)
    killer.join()
    return found


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_crash_is_like_a_kill(server: Server, name: str) -> None:
    path, body = MODES["generate"]
    fresh(server)
    expected = answer(server, path, body)
    fresh(server)

    def crash(line: int) -> None:
        if line == 20:
            server.runner().send_signal(signal.Signals[name])

    assert answer(server, path, body, crash) == expected


def test_eight_streams_of_one_runner_all_finish(tmp_path: Path) -> None:
    bodies = [{"prompt": f"{n}. Once upon a time", "raw": True} for n in range(8)]
    with running(tmp_path / "log", {"OLLAMA_NUM_PARALLEL": "8"}) as server:
        expected = _all_at_once(server, bodies, lambda: None)
        fresh(server)

        def kill() -> None:
            time.sleep(1.5)
            kill_runner(server)

        found = _all_at_once(server, bodies, kill)
        assert server.http.get("/stats").json()["server"]["rungs"]["go on in a new runner"] == 8
    for text, whole in zip(found, expected, strict=True):
        assert text.endswith("70")  # eval_count: none twice, none missing
        assert text[:40] == whole[:40]


def _all_at_once(server: Server, bodies: list[dict[str, Any]], meanwhile: Callable[[], None]) -> list[str]:
    found = [""] * len(bodies)

    def ask(number: int) -> None:
        found[number] = answer(server, "/api/generate", bodies[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    meanwhile()
    for thread in threads:
        thread.join()
    return found


def test_embeddings_are_computed_again(tmp_path: Path) -> None:
    write_bert(tmp_path / "encoder.gguf")
    model = str(tmp_path / "encoder.gguf")
    with running(tmp_path / "log") as server:
        whole = server.http.post("/api/embed", json={"model": model, "input": "hello"}).json()["embeddings"]
        server.runner().send_signal(signal.SIGSTOP)
        found: list[Any] = []
        thread = threading.Thread(
            target=lambda: found.append(server.http.post("/api/embed", json={"model": model, "input": "hello"}).json())
        )
        thread.start()
        time.sleep(0.3)
        kill_runner(server)
        thread.join()
        assert found[0]["embeddings"] == whole


def test_a_frozen_runner_is_replaced(tmp_path: Path) -> None:
    path, body = MODES["generate"]
    with running(tmp_path / "log", {"OLLAMA_NUM_PARALLEL": "1", "SWELL_STUCK": "1s"}) as server:
        expected = answer(server, path, body)
        fresh(server)
        frozen: list[psutil.Process] = []

        def freeze(line: int) -> None:
            if line == 20:
                frozen.append(server.runner())
                frozen[0].send_signal(signal.SIGSTOP)

        assert answer(server, path, body, freeze) == expected
        assert not frozen[0].is_running()
        assert "no sign of life" in server.log.read_text()


def test_a_runner_frozen_while_it_loads_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path / "log", {"SWELL_STUCK": "0.5s"}) as server:
        found: list[dict[str, Any]] = []
        thread = threading.Thread(target=lambda: found.append(server.generate("Hello", predict=4)))
        thread.start()
        wait_until(lambda: bool(server.runners()), "a runner is started")
        frozen = server.runner()
        frozen.send_signal(signal.SIGSTOP)
        thread.join()
        assert found[0]["resumed"] == ["go on in a new runner"]
        assert not frozen.is_running()
        assert "it gave no sign of life and was ended" in server.log.read_text()


def test_when_nothing_helps_the_text_stays_and_the_reason_is_given(tmp_path: Path) -> None:
    with running(tmp_path / "log", {"SWELL_RESUME_ATTEMPTS": "0"}) as server:
        lines: list[dict[str, Any]] = []
        body = {"model": MODEL, "prompt": STORY, "raw": True, "options": {"temperature": 0, "num_predict": 70}}
        with server.http.stream("POST", "/api/generate", json=body) as response:
            for line in response.iter_lines():
                lines.append(json.loads(line))
                if len(lines) == 10:
                    kill_runner(server)
        assert lines[-1]["done_reason"] == "error"
        assert "somebody killed it" in lines[-1]["error"]
        assert lines[-1]["eval_count"] == len(lines) - 1


def test_a_planned_reload_takes_the_conversation_along(tmp_path: Path) -> None:
    with running(tmp_path / "log") as server:
        prompt = " ".join(map(str, range(900)))
        first = server.generate(prompt, predict=4)
        before = server.runner().pid
        second = server.generate(prompt, predict=4, options={"num_thread": 1})
        assert server.runner().pid != before
        (row,) = server.http.get("/stats").json()["models"]
        assert row["stats"]["totals"]["cached"] == first["prompt_eval_count"] - 1
        assert second["response"] == first["response"]
