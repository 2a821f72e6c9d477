"""Requests and files that end their runners: nobody else's answer is lost by them, and they come to an end."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.counting import counted, expected
from tests.e2e.saboteur.sitecustomize import CRASHING, POISON, SLOW_POISON
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import sabotaged
from tests.e2e.test_resume import generated
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.destructive]

STREAMS = 3
ATTEMPTS = 3
INNOCENT_TOKENS = 250
FAILURE = "model runner has unexpectedly stopped"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Each answer may be lost as often as a request in company may, and once more."""
    environment = {"OLLAMA_NUM_PARALLEL": str(STREAMS + 2), "SWELL_RESUME_ATTEMPTS": str(ATTEMPTS)}
    with running(tmp_path / "log", sabotaged(environment)) as started:
        yield started


def deaths(server: Server) -> int:
    return len(re.findall(r"the runner of .* was lost", server.log.read_text()))


def ask_poison(server: Server, tokens: int) -> dict[str, Any]:
    options = {"temperature": 0, "num_predict": tokens, "num_ctx": 4096}
    body = {"model": MODEL, "prompt": counted(1, 39), "raw": True, "stream": False, "options": options}
    answer: dict[str, Any] = server.http.post("/api/generate", json=body).json()
    return answer


@pytest.mark.parametrize("poison", [POISON, SLOW_POISON])
def test_who_ends_every_runner_is_found_and_nobody_else_is_lost(server: Server, poison: int) -> None:
    """It is asked three times, so that the others would have been lost had it cost them anything."""
    with ThreadPoolExecutor(STREAMS) as clients:
        answers = clients.map(
            lambda first: server.generate(counted(first, 30), predict=INNOCENT_TOKENS), range(1, STREAMS + 1)
        )
        wait_until(lambda: generated(server) >= 10 * STREAMS, "all streams have begun")
        first = ask_poison(server, poison)
        assert FAILURE in first["error"]
        assert deaths(server) <= ATTEMPTS + 1
        for _ in range(2):
            before = deaths(server)
            assert FAILURE in ask_poison(server, poison)["error"]
            assert deaths(server) == before + 1  # alone
        for start, found in enumerate(answers, start=1):
            assert found["eval_count"] == INNOCENT_TOKENS
            assert found["response"].startswith(expected(start + 30, 150))
    assert server.log.read_text().count("a request ended every runner") == 3
    assert server.generate(counted(1, 39), predict=5)["eval_count"] == 5


def test_a_file_that_ends_every_runner_is_tried_twice(server: Server, model_path: Path, tmp_path: Path) -> None:
    (path := tmp_path / CRASHING).symlink_to(model_path)
    errors = [server.http.post("/api/generate", json={"model": str(path), "prompt": "x"}).json() for _ in range(3)]
    assert len(set(map(str, errors))) == 1
    assert "llama.cpp crashed 2 times while it loaded" in errors[0]["error"]
    assert server.log.read_text().count(f"loading {path}") == 2
