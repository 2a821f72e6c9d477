"""Conversations outlive the model in memory, and the server."""

import contextlib
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.e2e.server import Server, running

from swell.runner.slot_file import read_slots

PROMPT = "The history of the lighthouse, told by the people who kept it. " * 30
Start = Callable[[], AbstractContextManager[Server]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "prefixes"


@pytest.fixture
def start(tmp_path: Path, folder: Path) -> Start:
    return lambda: running(tmp_path / "log", {"SWELL_PREFIX_CACHE": str(folder)})


def latest(server: Server) -> dict[str, Any]:
    """The slot in which the latest request was."""
    (row,) = server.http.get("/stats").json()["models"]
    assert row["stats"]["faults"] == []
    return max(row["stats"]["slots_detail"], key=lambda slot: slot["prompt_tokens"])


def test_the_next_turn_after_a_restart_reads_only_what_is_new(start: Start, folder: Path) -> None:
    with start() as server:
        answer = server.generate(PROMPT)["response"]
        turn = f"{PROMPT}{answer} And then"
        expected = server.generate(turn)["response"]
        read = latest(server)
    (file,) = folder.iterdir()
    assert file.stat().st_size > read["cached_tokens"] * 23_040
    with start() as server:
        assert server.generate(turn)["response"] == expected
        again = latest(server)
    assert again["prompt_tokens"] == read["prompt_tokens"]
    assert again["shared_tokens"] == again["prompt_tokens"]
    assert again["cached_tokens"] == again["prompt_tokens"] - 1


def test_the_next_turn_after_an_unload_reads_only_what_is_new(start: Start) -> None:
    with start() as server:
        answer = server.generate(PROMPT, keep_alive=0)["response"]
        server.generate(f"{PROMPT}{answer} And then")
        assert latest(server)["cached_tokens"] > 400


def test_a_broken_file_is_a_miss(start: Start, folder: Path) -> None:
    with start() as server:
        expected = server.generate(PROMPT)["response"]
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-1000])
    with start() as server:
        assert server.generate(PROMPT)["response"] == expected
        assert latest(server)["cached_tokens"] == 0


@pytest.mark.destructive
def test_a_runner_that_is_killed_while_it_saves_leaves_nothing_that_harms(start: Start, folder: Path) -> None:
    delays_s = random.Random(1)
    with start() as server:
        expected = server.generate(PROMPT)["response"]
        for _ in range(12):
            runner = server.runner()
            server.ask("/api/generate", prompt="", keep_alive=0)  # unloads: that is when it saves
            time.sleep(delays_s.random() * 0.05)
            with contextlib.suppress(psutil.NoSuchProcess):
                runner.kill()
            assert server.generate(PROMPT)["response"] == expected
            assert latest(server)["cached_tokens"] in (0, latest(server)["prompt_tokens"] - 1)
    for path in folder.glob("*.kv"):
        with path.open("rb") as file:
            assert len(list(read_slots(file.fileno()))) == 1
