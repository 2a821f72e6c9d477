"""A growth that is refused takes the ladder rung by rung, on real processes; each rung is where some answer is saved.

What was tried is in `/stats` and in the answer's last line. Most answers count, so that a token lost, repeated or
computed from wrong cells would show.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.control_group import new_group
from tests.counting import counted, expected
from tests.e2e.saboteur.sitecustomize import HELD
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import rungs, sabotaged
from tests.tiny.attention import write_llama
from tests.waiting import wait_until

from swell.scheduler.accounts import HEADROOM_MIN_BYTES
from swell.scheduler.reclaiming import Source
from swell.turns.recovery.ladder import RecoveryStep

CELL_BYTES = 23_040
TINY_CELL_BYTES = 4 * 2 * 2 * 32 * 2
"""Of `tiny`: layers, K and V, heads, numbers per head, bytes per number."""
NUMBERS = 30
PROMPT = counted(1, NUMBERS)
"""81 tokens."""
Held = Callable[[], dict[str, Any]]
SMALL = {"OLLAMA_NUM_PARALLEL": "1", "OLLAMA_KV_CACHE_INIT": "32", "OLLAMA_KV_CACHE_GROW": "32"}
AT_ONCE = {"SWELL_KV_WAIT": "0"}
"""A runner that lacks memory doesn't ask for that of others first: the ladder itself has to help."""


@pytest.fixture
def twin(model_path: Path, tmp_path: Path) -> str:
    """The real model as another one."""
    path = tmp_path / "twin.gguf"
    path.symlink_to(model_path)
    return str(path)


@pytest.fixture
def tiny(tmp_path: Path) -> list[str]:
    """Three small models, whose tokens are bytes."""
    first, *others = (tmp_path / f"{name}.gguf" for name in ("a", "b", "c"))
    write_llama(first)
    for path in others:
        path.symlink_to(first)
    return [str(path) for path in (first, *others)]


def with_cells(cells: int, **settings: str) -> dict[str, str]:
    """Settings for caches of so many cells in all."""
    return {**SMALL, "SWELL_KV_BUDGET": str(cells * CELL_BYTES), **settings}


def check_count(answer: dict[str, Any], first: int, tokens: int) -> None:
    """That the answer is all there: `tokens` that count on from `first`."""
    assert (answer["done_reason"], answer["eval_count"]) == ("length", tokens)
    assert answer["response"] == expected(first, len(answer["response"]))


def server_stats(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = server.http.get("/stats").json()["server"]
    return found


def model_stats(server: Server) -> dict[str, dict[str, Any]]:
    return {row["name"]: row["stats"] for row in server.http.get("/stats").json()["models"]}


@contextlib.contextmanager
def held(server: Server, model: str, prompt: str) -> Iterator[Held]:
    """An answer of HELD tokens, of a model that is loaded for it, whose runner stops itself in its midst, and goes on
    when the rest is asked for."""
    options = {"temperature": 0, "num_predict": HELD}
    body = {"model": model, "prompt": prompt, "raw": True, "options": options}
    others = {runner.pid for runner in server.runners()}
    with server.http.stream("POST", "/api/generate", json=body) as response:
        (runner,) = (runner for runner in server.runners() if runner.pid not in others)
        wait_until(lambda: runner.status() == psutil.STATUS_STOPPED, "the runner has stopped")

        def finish() -> dict[str, Any]:
            runner.resume()
            whole = list(map(json.loads, response.iter_lines()))
            return {**whole[-1], "response": "".join(line["response"] for line in whole)}

        yield finish


def test_the_prefixes_of_idle_slots_make_way(log: Path) -> None:
    with running(log, with_cells(160, OLLAMA_NUM_PARALLEL="2")) as server:
        server.generate(f"Something else: {PROMPT}", predict=4)
        (before,) = model_stats(server).values()
        assert before["totals"]["reclaims"] == 0
        check_count(server.generate(PROMPT, predict=40), NUMBERS + 1, 40)
        (after,) = model_stats(server).values()
        assert after["totals"]["reclaims"] == 1
        assert sorted(slot["used"] for slot in after["slots_detail"])[0] == 0
        assert (server_stats(server)["rungs"], server_stats(server)["relief"]) == ({}, {})


def test_idle_models_give_back_what_they_do_not_use(log: Path, twin: str) -> None:
    with running(log, with_cells(200, OLLAMA_KV_CACHE_INIT="96")) as server:
        server.generate("Hello", predict=1, model=twin)
        check_count(server.generate(PROMPT, predict=40), NUMBERS + 1, 40)
        found = model_stats(server)
        assert found[twin]["kv_granted_bytes"] == 32 * CELL_BYTES
        assert found[twin]["totals"]["reclaims"] == 0
        assert server_stats(server)["relief"] == {Source.UNUSED.value: 1}
        assert rungs(server) == {}


def test_idle_models_give_up_their_conversations(log: Path, twin: str) -> None:
    with running(log, with_cells(160)) as server:
        server.generate(PROMPT, predict=4, model=twin)
        check_count(server.generate(PROMPT, predict=40), NUMBERS + 1, 40)
        found = model_stats(server)
        assert found[twin]["kv_granted_bytes"] == 0
        assert found[twin]["totals"]["reclaims"] == 1
        assert server_stats(server)["relief"] == {Source.IDLE_PREFIXES.value: 1}
        assert rungs(server) == {}


@pytest.mark.destructive
def test_idle_models_are_unloaded_where_the_machine_itself_has_no_more(log: Path, twin: str) -> None:
    settings = {**SMALL, "SWELL_KV_HEADROOM": "1MB"}  # raised to the least there may be
    own = {"use_mmap": False}  # or the kernel would take back the weights' pages first
    with new_group() as group, running(log, settings, before=group.enter_with(1_000_000_000)) as server:
        server.generate("Hello", predict=1, model=twin, options=own)
        server.generate("Hello", predict=1, options=own)
        group.leave_free_bytes(HEADROOM_MIN_BYTES + 1_000_000)
        check_count(server.generate(PROMPT, predict=40), NUMBERS + 1, 40)
        assert server_stats(server)["relief"] == {Source.IDLE_MODELS.value: 1}
        assert server.loaded()["name"] == MODEL
        assert rungs(server) == {}


@pytest.mark.parametrize("wait", ["0", "30s"])
def test_the_youngest_answer_is_paused_until_another_has_ended(log: Path, wait: str) -> None:
    settings = with_cells(220, OLLAMA_NUM_PARALLEL="2", SWELL_KV_WAIT=wait)
    with running(log, settings) as server, ThreadPoolExecutor(2) as clients:
        answers = clients.map(lambda first: server.generate(counted(first, NUMBERS), predict=60), (1, 2))
        for first, answer in enumerate(answers, start=1):
            check_count(answer, first + NUMBERS, 60)
            assert "resumed" not in answer
        (found,) = model_stats(server).values()
        assert found["totals"]["pauses"] == 1
        assert rungs(server) == {}


def test_idle_models_are_evicted(log: Path, twin: str) -> None:
    with running(log, with_cells(160, **AT_ONCE)) as server:
        server.generate(PROMPT, predict=4, model=twin)
        answer = server.generate(PROMPT, predict=40)
        check_count(answer, NUMBERS + 1, 40)
        assert answer["resumed"] == [RecoveryStep.EVICT_IDLE.value]
        assert rungs(server) == {RecoveryStep.EVICT_IDLE.value: 1}
        assert server.loaded()["name"] == MODEL


@pytest.mark.destructive
def test_busy_models_are_waited_for(log: Path, tiny: list[str]) -> None:
    """The other one is stopped in its midst for as long as a runner waits for memory, and then has as long to finish:
    so these are models that do it in a moment."""
    needy, busy, _ = tiny
    settings = {**SMALL, "SWELL_KV_BUDGET": str(200 * TINY_CELL_BYTES), "SWELL_KV_WAIT": "3s"}
    with running(log, sabotaged(settings)) as server, ThreadPoolExecutor(1) as clients:
        whole = server.generate("x" * 60, predict=80, model=needy)
        with held(server, busy, "x" * 100) as finish:
            coming = clients.submit(server.generate, "x" * 60, predict=80, model=needy)
            wait_until(lambda: rungs(server) == {RecoveryStep.WAIT.value: 1}, "others are waited for")
            last = finish()
            answer = coming.result()
        assert (answer["response"], answer["eval_count"]) == (whole["response"], 80)
        assert (last["done_reason"], last["eval_count"]) == ("length", HELD)
        assert answer["resumed"] == [RecoveryStep.WAIT.value]
        assert rungs(server) == {RecoveryStep.WAIT.value: 1}


def test_the_cache_is_stored_in_less(log: Path) -> None:
    with running(log, with_cells(140, OLLAMA_KV_CACHE_TYPE="auto")) as server:
        answer = server.generate(PROMPT, predict=100)
        check_count(answer, NUMBERS + 1, 100)
        assert answer["resumed"] == [RecoveryStep.SMALLER_CACHE.value]
        assert rungs(server) == {RecoveryStep.SMALLER_CACHE.value: 1}


def test_the_window_ends_where_the_memory_does(log: Path) -> None:
    """As it does at `num_ctx`: it shifts, or the answer ends, whichever was asked for."""
    cells = 140
    with running(log, with_cells(cells)) as server:
        shifted = server.generate(PROMPT, predict=100, options={"num_ctx": cells})
        assert "resumed" not in shifted
        answer = server.generate(PROMPT, predict=100)
        assert answer["resumed"] == [RecoveryStep.WINDOW_END.value]
        for name in ("response", "eval_count", "done_reason"):
            assert answer[name] == shifted[name]
        ended = server.generate(PROMPT, predict=100, shift=False)
        check_count(ended, NUMBERS + 1, cells + 1 - ended["prompt_eval_count"])
        assert ended["resumed"] == [RecoveryStep.WINDOW_END.value]
        assert rungs(server) == {RecoveryStep.WINDOW_END.value: 2}


@pytest.mark.destructive
def test_one_answer_takes_all_rungs_in_their_order(log: Path, tiny: list[str]) -> None:
    """Beside an idle model and one that is stopped in its midst, each with a part of what there is for caches. A rung
    that gave the answer new tokens is followed by the first one again, which by then has nothing more to give."""
    needy, busy, idle = tiny
    settings = {**SMALL, **AT_ONCE, "SWELL_KV_BUDGET": str(600 * TINY_CELL_BYTES), "OLLAMA_KV_CACHE_TYPE": "auto"}
    settings |= {"SWELL_REPEAT_GUARD": "0"}  # `needy` has little to say
    with running(log, sabotaged(settings)) as server:
        with held(server, busy, "x" * 100) as finish:
            server.generate("x" * 100, predict=1, model=idle)
            answer = server.generate("x" * 100, predict=2000, model=needy)
            assert rungs(server) == Counter(answer["resumed"])
            last = finish()
        assert answer["resumed"] == [
            RecoveryStep.EVICT_IDLE.value,
            *(RecoveryStep.WAIT.value, RecoveryStep.SMALLER_CACHE.value),
            *(RecoveryStep.WAIT.value, RecoveryStep.SMALLER_CACHE.value),
            *(RecoveryStep.WAIT.value, RecoveryStep.WINDOW_END.value),
        ]
        assert (answer["done_reason"], answer["eval_count"]) == ("length", 2000)
        assert (last["done_reason"], last["eval_count"]) == ("length", HELD)
