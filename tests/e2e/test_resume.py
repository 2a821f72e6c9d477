"""A lost runner is a pause: clients see one answer, no token twice and none missing, in every mode."""

import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.counting import counted
from tests.counting import expected as counting
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import STORY, answer, fresh, kill_runner, rungs
from tests.e2e.templates import CALLS, THINKS, write_with_template
from tests.tiny.encoder import write_bert
from tests.waiting import wait_until

from swell.turns.recovery.ladder import RecoveryStep

pytestmark = [pytest.mark.slow, pytest.mark.destructive]

KILLS = int(os.environ.get("SWELL_TEST_KILLS", "2"))
"""Per mode; 20 when a release is checked."""
KILLS_PER_ANSWER = 2
STREAMS = 8
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 40}, "story": {"type": "string", "maxLength": 200}},
    "required": ["name", "story"],
}
WEATHER = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
CALL = {
    "type": "object",
    "properties": {"name": {"const": "get_weather"}, "arguments": WEATHER},
    "required": ["name", "arguments"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": WEATHER}}
TALK = [{"role": "user", "content": "Tell me a story about a lighthouse."}]
OPENAI_CALL: dict[str, Any] = {
    "messages": TALK,
    "tools": [TOOL],
    "tool_choice": "required",
    "model": "calls",
    "temperature": 0,
    "max_tokens": 70,
}
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
    "call": ("/api/chat", {"messages": TALK, "tools": [TOOL], "format": CALL, "model": "calls"}),
    "call in one piece": (
        "/api/chat",
        {"messages": TALK, "tools": [TOOL], "format": CALL, "model": "calls", "stream": False},
    ),
    "openai call": ("/v1/chat/completions", {**OPENAI_CALL, "stream": True}),
    "openai call in one piece": ("/v1/chat/completions", {**OPENAI_CALL, "stream": False}),
}


@pytest.fixture(scope="module")
def models(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {
        name: write_with_template(model_path, folder / f"{name}.gguf", template)
        for name, template in (("thinks", THINKS), ("calls", CALLS))
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One slot: a prompt is always cut into the same batches."""
    environment = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_MAX_LOADED_MODELS": "1"}
    with running(tmp_path_factory.mktemp("server") / "log", environment) as started:
        yield started


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_runner_is_not_noticed(server: Server, models: dict[str, str], mode: str) -> None:
    path, body = MODES[mode]
    body = {**body, "model": models.get(body.get("model", ""), MODEL)}
    fresh(server)
    expected = answer(server, path, body)
    assert ("get_weather" in expected) if "tools" in body else len(expected) > 60
    chance, before = random.Random(mode), resumptions(server)
    for _ in range(-(-KILLS // KILLS_PER_ANSWER)):
        fresh(server)
        if body.get("stream") is False or "tools" in body:  # nothing comes before a call is complete
            found = _killed_by_count(server, path, body, chance)
        else:
            found = answer(server, path, body, _kills_at(server, set(chance.sample(range(1, 60), KILLS_PER_ANSWER))))
        assert found == expected
    assert resumptions(server) > before


def resumptions(server: Server) -> int:
    return rungs(server).get(RecoveryStep.RELOAD.value, 0)


def _kills_at(server: Server, moments: set[int]) -> Callable[[int], None]:
    def kill(line: int) -> None:
        if line in moments:
            kill_runner(server)

    return kill


def _killed_by_count(server: Server, path: str, body: dict[str, Any], chance: random.Random) -> str:
    """For answers that come in one piece: each runner is killed after a number of tokens."""
    is_over = threading.Event()

    def kill() -> None:
        for _ in range(KILLS_PER_ANSWER):
            tokens = chance.randint(1, 9)
            while generated(server) < tokens:
                if is_over.wait(0.005):
                    return
            kill_runner(server)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        return answer(server, path, body)
    finally:
        is_over.set()
        killer.join()


def generated(server: Server) -> int:
    """Tokens of the runner there is; none while there is none."""
    rows = server.http.get("/stats").json()["models"]
    return sum(row["stats"]["totals"]["generated"] for row in rows if row["stats"])


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_a_crash_is_like_a_kill(server: Server, name: str) -> None:
    path, body = MODES["generate"]
    fresh(server)
    expected = answer(server, path, body)
    fresh(server)
    before = resumptions(server)

    def crash(line: int) -> None:
        if line == 20:
            server.runner().send_signal(signal.Signals[name])

    assert answer(server, path, body, crash) == expected
    assert resumptions(server) == before + 1


def test_eight_streams_of_one_runner_all_finish(tmp_path: Path) -> None:
    """Each counts from another number, so that a token lost, repeated or taken from another stream would show."""
    with (
        running(tmp_path / "log", {"OLLAMA_NUM_PARALLEL": "8"}) as server,
        ThreadPoolExecutor(STREAMS) as clients,
    ):
        answers = clients.map(lambda first: server.generate(counted(first, 30), predict=70), range(1, STREAMS + 1))
        wait_until(lambda: generated(server) >= 10 * STREAMS, "all streams have begun")
        kill_runner(server)
        for first, found in enumerate(answers, start=1):
            assert found["eval_count"] == 70
            assert found["response"] == counting(first + 30, len(found["response"]))
        assert rungs(server) == {RecoveryStep.RELOAD.value: STREAMS}


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
        assert rungs(server) == {RecoveryStep.RELOAD.value: 1}


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
        assert rungs(server) == {RecoveryStep.RELOAD.value: 1}
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
        prompt = " ".join(map(str, range(300)))
        first = server.generate(prompt, predict=4)
        before = server.runner().pid
        second = server.generate(prompt, predict=4, options={"use_mmap": False})
        assert server.runner().pid != before
        (row,) = server.http.get("/stats").json()["models"]
        assert row["stats"]["totals"]["cached"] == first["prompt_eval_count"] - 1
        assert second["response"] == first["response"]
