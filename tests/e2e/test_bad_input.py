"""Bad input gets the contract's answer, and the server goes on."""

from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.e2e.server import MODEL, Server

LONG = "word " * 3000


@pytest.mark.parametrize(
    ("content", "status", "text"),
    [
        (b"", 400, "missing request body"),
        (b"{", 400, None),
        (b"\xff\xfe", 400, None),
        (b'"text"', 400, None),
        (b'{"model": 5}', 400, None),
        (b'{"model": "smollm2:135m", "prompt": ["a"]}', 400, None),
        (b'{"model": "nonesuch", "prompt": "a"}', 404, "model 'nonesuch' not found"),
        (b'{"model": "a/b/c/d/e", "prompt": "a"}', 400, "invalid model name"),
        (b'{"prompt": "a"}', 404, "model '' not found"),
        (b'{"model": "smollm2:135m", "prompt": "a", "options": {"num_ctx": "big"}}', 500, None),
        (b'{"model": "smollm2:135m", "prompt": "a", "keep_alive": "10"}', 400, None),
        (b'{"model": "smollm2:135m", "prompt": "a", "think": true}', 400, '"smollm2:135m" does not support thinking'),
    ],
)
def test_is_answered_as_the_contract_says(server: Server, content: bytes, status: int, text: str | None) -> None:
    response = server.http.post("/api/generate", content=content)
    assert response.status_code == status
    error = response.json()["error"]
    assert error == text if text else error


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/generate", {"prompt": LONG, "raw": True}),
        ("/api/chat", {"messages": [{"role": "user", "content": LONG}]}),
    ],
)
def test_a_prompt_longer_than_the_window_is_refused_with_the_numbers(
    server: Server, path: str, body: dict[str, Any]
) -> None:
    response = server.http.post(path, json={"model": MODEL, "truncate": False, "options": {"num_ctx": 1024}, **body})
    assert response.status_code == 400
    error = response.json()["error"]
    assert "exceeds the available context size" in error
    assert "1024" in error


def test_a_longer_prompt_is_truncated_when_that_is_allowed(server: Server) -> None:
    answer = server.generate(LONG, predict=2, options={"num_ctx": 512})
    assert answer["prompt_eval_count"] < 512


@pytest.mark.parametrize("num_ctx", [-5, 0, 1, 3])
def test_an_absurd_window_is_raised_to_the_smallest_one(server: Server, num_ctx: int) -> None:
    answer = server.generate("Hello there, how are you today?", predict=8, options={"num_ctx": num_ctx})
    assert answer["prompt_eval_count"] + answer["eval_count"] <= 4


def test_predicting_nothing_reads_the_prompt(server: Server) -> None:
    answer = server.generate("Hello there", predict=0)
    assert answer["response"] == ""
    assert answer["prompt_eval_count"] > 0
    assert answer["eval_count"] == 0


def test_the_kernel_would_end_a_runner_before_the_server(server: Server) -> None:
    def score(process: psutil.Process) -> int:
        return int(Path(f"/proc/{process.pid}/oom_score_adj").read_text())

    server.generate("1", predict=1)
    strangers = [child for child in server.children() if child.pid != server.runner().pid]
    assert score(psutil.Process(server.process.pid)) < score(server.runner()) == 500
    assert {score(stranger) for stranger in strangers} == {1000}


def test_the_server_went_on_and_nothing_is_left_behind(server: Server) -> None:
    assert server.generate("1 2 3 4", predict=1)["done"] is True
    assert server.loaded()["context_active"] == 0
    assert len(server.runners()) == 1
