"""Several models under one limit, through the real API and with real processes."""

import random
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.control_group import new_group
from tests.e2e.server import MODEL, Server, running
from tests.tiny.attention import write_llama
from tests.waiting import wait_until

TINY_CELL_BYTES = 4 * 2 * 2 * 32 * 2
"""Layers, K and V, heads, numbers per head, bytes per number."""
LIMIT_BYTES = 460_000_000
"""The server takes 60 MB, a model 145 of which 97 are weights, and 16 stay free."""
ONE_THREAD = {"num_thread": 1}
"""Threads of several processes that spin for each other on few cores would take most of the time."""
SMALL = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_KV_CACHE_INIT": "256", "OLLAMA_KV_CACHE_GROW": "256"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Three small models, whose tokens are bytes."""
    directory = tmp_path_factory.mktemp("models")
    write_llama(directory / "0.gguf")
    return [str(shutil.copy(directory / "0.gguf", directory / name)) for name in ("a.gguf", "b.gguf", "c.gguf")]


def rows(server: Server) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.http.get("/api/ps").json()["models"]
    return found


def loaded_names(server: Server) -> set[str]:
    return {row["name"] for row in rows(server)}


def loads(server: Server) -> int:
    return server.log.read_text().count(": loading ")


def test_an_answer_that_ends_waits_for_nobody(log: Path, tiny: Sequence[str]) -> None:
    """The last line's `context` took a second lease, behind the request that waited for the first one's end."""
    with running(log) as server, ThreadPoolExecutor(3) as clients:

        def ask(maps: bool) -> dict[str, Any]:
            options = {"use_mmap": maps, "num_predict": 200, "temperature": 0}
            return server.ask("/api/generate", model=tiny[0], prompt="x", options=options)

        answers = [clients.submit(ask, maps) for maps in (True, False, True)]
        lengths = [len(answer.result(60)["context"]) for answer in answers]
        assert lengths[0] == lengths[1] == lengths[2] > 1


@pytest.mark.parametrize("slots", [1, 256])
def test_any_number_of_slots_that_is_allowed(log: Path, tiny: Sequence[str], slots: int) -> None:
    with running(log, {"OLLAMA_NUM_PARALLEL": str(slots)}) as server:
        assert server.generate("x", model=tiny[0], predict=2)["done"] is True
        (row,) = server.http.get("/stats").json()["models"]
        assert row["stats"]["slots"] == slots


def test_ten_windows_batches_and_numbers_of_threads_on_one_model_are_one_load(log: Path, tiny: Sequence[str]) -> None:
    with running(log) as server, ThreadPoolExecutor(10) as clients:

        def ask(number: int) -> str:
            options = {"num_ctx": 64 * number, "num_batch": number, "num_thread": number, "temperature": number / 10}
            reason = server.generate("x" * 20, model=tiny[0], predict=4, options=options, shift=number % 2 == 0)
            return str(reason["done_reason"])

        assert set(clients.map(ask, range(1, 11))) <= {"length", "stop"}
        assert loads(server) == 1
        (runner,) = server.runners()
        server.generate("x", model=tiny[0], predict=1, options={"use_mmap": False})
        assert loads(server) == 2
        assert not runner.is_running()
        server.generate("x", model=tiny[0], predict=1)
        assert loads(server) == 2


def test_too_many_waiting_requests_are_told_so(log: Path, tiny: Sequence[str]) -> None:
    settings = {**SMALL, "OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_MAX_QUEUE": "1"}
    with running(log, settings) as server, ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda number: _status(server, tiny[number % 3]), range(8)))
        assert {status for status, _ in answers} == {200, 503}
        errors = {text for status, text in answers if status == 503}
        assert errors == {"server busy, please try again.  maximum pending requests exceeded"}
        assert _status(server, tiny[0])[0] == 200


def _status(server: Server, model: str) -> tuple[int, str]:
    response = server.http.post("/api/generate", json={"model": model, "stream": False})
    return response.status_code, response.json().get("error", "")


def test_a_load_that_fails_says_why(log: Path, tiny: Sequence[str], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    content = Path(tiny[0]).read_bytes()
    damaged.write_bytes(content.replace(b"blk.0.attn_q.weight", b"blk.0.attn_x.weight"))
    with running(log) as server:
        status, text = _status(server, str(damaged))
        assert status == 500
        assert "blk.0.attn_q.weight" in text
        assert server.runners() == []


def test_a_load_that_takes_too_long_is_given_up(log: Path, tiny: Sequence[str]) -> None:
    with running(log, {"OLLAMA_LOAD_TIMEOUT": "10ms"}) as server:
        status, text = _status(server, tiny[0])
        assert status == 500
        assert text.startswith("timed out waiting for llama-server to start")
        assert server.runners() == []


def test_what_ps_says_is_what_the_kernel_counts(log: Path, tiny: Sequence[str]) -> None:
    with running(log, SMALL) as server:
        server.generate("The quick brown fox. " * 100, predict=2)
        server.generate("x" * 1000, model=tiny[0], predict=2)
        kernel = sum(runner.memory_info().rss for runner in server.runners())
        found = rows(server)
        assert sum(row["size"] for row in found) == pytest.approx(kernel, rel=0.05)
        for row in found:
            parts = row["weights_used"] + row["kv_used"] + row["other_used"]
            assert parts == pytest.approx(row["size"], rel=0.05)
            assert (row["size_vram"], row["vram_used"]) == (0, 0)
            assert 0 < row["kv_used"] <= 1.05 * row["kv_granted"]


def test_models_whose_windows_exceed_the_budget_take_turns(log: Path, tiny: Sequence[str]) -> None:
    budget_bytes = 2200 * TINY_CELL_BYTES
    with running(log, {**SMALL, "SWELL_KV_BUDGET": str(budget_bytes)}) as server:
        for turn in range(1, 6):
            for model in tiny[:2]:
                answer = server.generate("x" * 400 * turn, model=model, predict=2)
                assert answer["prompt_eval_count"] == 400 * turn
                assert sum(row["kv_granted"] for row in rows(server)) <= budget_bytes
        assert loads(server) == 2  # the idle one was shrunk, not unloaded
        assert "asking for what other models have" in log.read_text()


def test_models_that_are_busy_at_once_take_turns_too(log: Path, tiny: Sequence[str]) -> None:
    budget_bytes = 1300 * TINY_CELL_BYTES
    options = {"seed": 1, "temperature": 1.0}
    with running(log, {**SMALL, "SWELL_KV_BUDGET": str(budget_bytes)}) as server, ThreadPoolExecutor(2) as clients:
        for _ in range(3):
            answers = clients.map(
                lambda model: server.generate("x" * 900, model=model, predict=200, options=options), tiny[:2]
            )
            assert [answer["eval_count"] for answer in answers] == [200, 200]
            assert sum(row["kv_granted"] for row in rows(server)) <= budget_bytes


@pytest.mark.slow
@pytest.mark.destructive
def test_three_models_where_memory_holds_two(log: Path, model_path: Path, tmp_path: Path) -> None:
    models = [str(shutil.copy(model_path, tmp_path / f"{name}.gguf")) for name in "abc"]
    chance = random.Random(5)
    with new_group() as group, running(log, SMALL, before=group.enter_with(LIMIT_BYTES)) as server:
        recent: list[str] = []
        for _ in range(12):
            model = chance.choice(models)
            assert server.generate("1 2 3 4 5", model=model, predict=2)["done"] is True
            recent = [model, *(other for other in recent if other != model)]
            assert loaded_names(server) == set(recent[:2])
        assert "was lost" not in log.read_text()


@pytest.mark.slow
@pytest.mark.destructive
def test_five_hundred_requests_leave_nothing_behind(log: Path, tiny: Sequence[str]) -> None:
    chance = random.Random(11)
    plan = [(chance.choice(tiny[:2]) if chance.random() < 0.88 else tiny[2], chance.random()) for _ in range(500)]
    with running(log, {**SMALL, "OLLAMA_MAX_LOADED_MODELS": "2"}) as server, ThreadPoolExecutor(4) as clients:
        server.generate("warm", model=tiny[0], predict=1, options=ONE_THREAD)
        process = psutil.Process(server.process.pid)
        files, memory_bytes = process.num_fds(), process.memory_info().rss

        def ask(request: tuple[str, float]) -> None:
            model, kind = request
            if kind < 0.01:
                server.ask("/api/generate", model=model, keep_alive=0)
            elif kind < 0.05:
                with server.http.stream("POST", "/api/generate", json=_story(model)) as response:
                    next(response.iter_lines())
            else:
                server.generate("x" * round(300 * kind), model=model, predict=2, options={"num_ctx": 400, **ONE_THREAD})

        list(clients.map(ask, plan))
        assert len(server.runners()) <= 2
        for model in tiny:
            server.ask("/api/generate", model=model, keep_alive=0)
        wait_until(lambda: server.runners() == [], "all runners are gone")
        wait_until(lambda: process.num_fds() <= files + 4, "all files are closed")
        assert process.memory_info().rss < memory_bytes + 40_000_000
        assert "Traceback" not in log.read_text()


def _story(model: str) -> dict[str, Any]:
    return {"model": model, "prompt": "x", "raw": True, "options": {"num_predict": 2000, **ONE_THREAD}}


def test_the_bundled_model_and_another_at_once(log: Path, tiny: Sequence[str]) -> None:
    with running(log, SMALL) as server, ThreadPoolExecutor(2) as clients:
        answers = list(clients.map(lambda model: server.generate("1 2 3 4 5", model=model), [MODEL, tiny[0]]))
        assert all(answer["done"] for answer in answers)
        assert loaded_names(server) == {MODEL, tiny[0]}
