"""A server that learns from its answers what slots need when a model is loaded."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.e2e.server import MODEL, Server, running
from tests.waiting import wait_until

from swell.sizes.file import SizeFile
from swell.sizes.learning import SIZES_MIN

BLOCK_TOKENS, USUAL_TOKENS = 64, 2048
ASKED = "WhatNobodyShouldRead" * 14
GENERATED = 20
LEARNED_TOKENS = 320
"""An answer takes a few tokens more than letters are asked and tokens generated."""
Start = Callable[..., AbstractContextManager[Server]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def start(log: Path, state: Path) -> Start:
    def begin(initial: str = "auto") -> AbstractContextManager[Server]:
        settings = {
            "XDG_STATE_HOME": str(state),
            "OLLAMA_KV_CACHE_INIT": initial,
            "OLLAMA_KV_CACHE_GROW": str(BLOCK_TOKENS),
            "OLLAMA_NUM_PARALLEL": "1",
        }
        return running(log, settings)

    return begin


@pytest.fixture
def learned(start: Start, state: Path, speller: str) -> Path:
    """The file of a server that has answered often enough."""
    with start() as server:
        assert granted(server, speller) == USUAL_TOKENS
        for _ in range(SIZES_MIN):
            answer(server, speller)
    return state / "swell" / "sizes.db"


def answer(server: Server, model: str) -> dict[str, Any]:
    return server.generate(ASKED, predict=GENERATED, model=model)


def granted(server: Server, model: str) -> int:
    """What the model's slot is granted when it is loaded."""
    server.ask("/api/generate", model=model)
    row = server.loaded()
    assert row["context_initial"] == row["context_allocated"]
    return int(row["context_initial"])


def growths(server: Server) -> list[str]:
    lines = server.http.get("/metrics").text.splitlines()
    return [line for line in lines if line.startswith("swell_window_growths_total")]


def test_the_next_server_grants_at_once_what_answers_need(start: Start, learned: Path, speller: str, log: Path) -> None:
    with start() as server:
        assert granted(server, speller) == LEARNED_TOKENS
        found = answer(server, speller)
        assert found["prompt_eval_count"] + found["eval_count"] <= LEARNED_TOKENS
        assert growths(server) == []
        gauge = f'swell_window_initial_tokens{{model="{speller}"}} {LEARNED_TOKENS}.0'
        wait_until(lambda: gauge in server.http.get("/metrics").text, "it is measured")
    with start("512") as server:
        assert granted(server, speller) == 512  # what is set counts
        answer(server, speller)
    sizes = SizeFile(learned).read()
    assert len(sizes) == SIZES_MIN + 1, "who learns nothing writes nothing"
    assert "size_keeping" not in log.read_text()


def test_nothing_is_in_the_file_but_digests_sizes_and_times(learned: Path, speller: str) -> None:
    content, sized = learned.read_bytes(), SizeFile(learned).read()[0].tokens
    assert len(ASKED) + GENERATED <= sized <= LEARNED_TOKENS
    for private in ("WhatNobody", speller, Path(speller).name, Path(speller).parent.name):
        assert private.encode() not in content
    for size in SizeFile(learned).read():
        assert bytes.fromhex(size.model)
        assert size.tokens == sized


def test_a_model_with_other_weights_begins_anew(start: Start, learned: Path, speller: str, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(Path(speller).read_bytes())
    with start() as server:
        assert granted(server, str(other)) == USUAL_TOKENS


def test_without_the_file_slots_begin_as_usual(start: Start, learned: Path, speller: str) -> None:
    learned.unlink()
    with start() as server:
        assert granted(server, speller) == USUAL_TOKENS


def test_with_a_broken_file_answers_are_what_they_are(start: Start, learned: Path, speller: str, log: Path) -> None:
    learned.write_bytes(b"\0" * 5000)
    with start() as server:
        assert granted(server, speller) == USUAL_TOKENS
        assert answer(server, speller)["eval_count"] == GENERATED
        assert answer(server, speller)["eval_count"] == GENERATED
    assert log.read_text().count("WARNING swell.observe.size_keeping: the sizes of answers are not kept: ") == 1
    assert learned.read_bytes() == b"\0" * 5000


def test_who_leaves_or_fails_teaches_nothing(start: Start, state: Path) -> None:
    """With a model that takes a minute for the answer that its client leaves."""
    body = {"model": MODEL, "prompt": "Once upon a time", "raw": True, "options": {"num_predict": 4000}}
    with start() as server:
        with server.http.stream("POST", "/api/generate", json=body) as response:
            next(response.iter_lines())
        assert server.http.post("/api/chat", json={"model": MODEL, "messages": 3}).status_code == 400
        found = server.generate("Hello", predict=5)
    (size,) = SizeFile(state / "swell" / "sizes.db").read()
    assert size.tokens == found["prompt_eval_count"] + found["eval_count"]


def test_by_default_nothing_is_kept_and_nothing_is_imported(start: Start, state: Path, speller: str) -> None:
    with start("") as server:
        answer(server, speller)
        assert not any("sqlite3" in file.path for file in psutil.Process(server.process.pid).memory_maps())
    assert not state.exists()
