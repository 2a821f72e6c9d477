"""Threads rise and fall with what the machine can give, through the real API.

The machine may be busy with other things, so these tests wait until threads are few enough, and never for many.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from benchmarks.serve.neighbours import busy
from tests.control_group import new_processor_group
from tests.counting import PROMPT
from tests.e2e.server import MODEL, Server, running
from tests.tiny.attention import write_llama
from tests.waiting import wait_until

from swell.processors.allowance import Allowance, affinity

ONE = {"OLLAMA_NUM_PARALLEL": "1"}


def threads(server: Server, model: str = MODEL) -> dict[str, Any]:
    rows = server.http.get("/stats").json()["models"]
    found: dict[str, Any] = next(row["stats"]["threads"] for row in rows if row["name"] == model)
    return found


@contextlib.contextmanager
def talking(server: Server, models: Sequence[str]) -> Iterator[None]:
    """Each model is asked again and again, until the block ends."""
    over = threading.Event()

    def talk(model: str) -> None:
        while not over.is_set():
            server.generate("Once upon a time", model=model, predict=50)

    talkers = [threading.Thread(target=talk, args=(model,)) for model in models]
    for talker in talkers:
        talker.start()
    try:
        yield
    finally:
        over.set()
        for talker in talkers:
            talker.join()


def test_fewer_threads_beside_a_busy_machine_and_the_same_text(log: Path) -> None:
    with running(log, ONE) as server:
        server.generate("Hello", predict=1)
        allowed = threads(server)["allowed"]
        assert allowed == Allowance().threads()
        with busy(len(affinity())), talking(server, [MODEL]):
            wait_until(lambda: threads(server)["now"] < max(allowed, 2), "fewer threads compute")
            assert threads(server)["waited_ns"] > 0
        with busy(len(affinity())):
            changed = [server.generate(PROMPT, predict=120) for _ in range(2)]
        fixed = [server.generate(PROMPT, predict=120, options={"num_thread": count}) for count in (1, 2)]
        assert {answer["response"] for answer in changed + fixed} == {fixed[0]["response"]}


@pytest.mark.slow
def test_a_long_answer_is_the_same_with_any_number_of_threads(log: Path) -> None:
    """More than 512 tokens are where llama.cpp would compute in another way."""
    with running(log, ONE) as server:
        with busy(len(affinity())):
            changed = server.generate(PROMPT * 5, predict=300)
        fixed = server.generate(PROMPT * 5, predict=300, options={"num_thread": 3})
        assert changed["response"] == fixed["response"]


def test_num_thread_is_exactly_so_many_and_only_for_its_request(log: Path) -> None:
    with running(log, ONE) as server:
        server.generate("Hello", predict=1)
        runner = server.runner()
        for count in (1, 3):
            server.generate("Hello", predict=1, options={"num_thread": count})
            found = threads(server)
            assert (found["now"], found["allowed"]) == (count, count)
            (row,) = server.http.get("/api/ps").json()["models"]
            assert (row["threads"], row["threads_allowed"]) == (count, count)
        server.generate("Hello", predict=1)
        assert threads(server)["allowed"] == Allowance().threads()
        assert server.runner() == runner


@pytest.mark.destructive
def test_a_quota_of_one_processor_is_one_thread(log: Path) -> None:
    with new_processor_group() as group:
        group.limit(1)
        with running(log, ONE, before=group.enter) as server:
            server.generate("Hello", predict=8)
            found = threads(server)
            assert (found["now"], found["allowed"]) == (1, 1)
            assert server.runner().num_threads() == 2  # the event loop's, and one that computes
            group.limit(None)
            server.generate("Hello", predict=1)
            assert threads(server)["allowed"] == Allowance().threads()


def test_two_busy_models_share_the_processors(log: Path, tmp_path: Path) -> None:
    tiny = tmp_path / "tiny.gguf"
    write_llama(tiny)
    with running(log, ONE) as server, talking(server, [MODEL, str(tiny)]):
        wait_until(lambda: len(server.http.get("/stats").json()["models"]) == 2, "both are loaded")
        part = max(1, Allowance().threads() // 2)
        for model in (MODEL, str(tiny)):
            wait_until(lambda model=model: threads(server, model)["now"] <= part, "it has its part")  # type: ignore[misc]
