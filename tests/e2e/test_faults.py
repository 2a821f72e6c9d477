"""What ends runners in the field, really done to one: the kernel's kill for want of memory, an assertion in C."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.control_group import Group, new_group
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import STORY, answer, fresh, paced, rungs, sabotaged
from tests.waiting import is_alive, wait_until

from swell.errors import RunnerLostError
from swell.loss import Loss
from swell.turns.recovery.ladder import RecoveryStep

pytestmark = pytest.mark.destructive

BODY: dict[str, Any] = {"prompt": STORY, "raw": True}
MIDDLE = 20
"""The line of the answer after which the fault strikes."""
ONE_SLOT = {"OLLAMA_NUM_PARALLEL": "1"}
ENOUGH_BYTES = 1 << 30


@pytest.fixture
def group() -> Iterator[Group]:
    with new_group() as made:
        yield made


def interrupted(server: Server, strike: Callable[[], None]) -> str:
    """The answer of a runner with nothing cached that is struck in the middle."""
    fresh(server)
    return answer(server, "/api/generate", BODY, lambda line: strike() if line == MIDDLE else None)


def starve(group: Group, runner: psutil.Process) -> None:
    """Take all memory from the server and its runners, until the kernel has ended `runner`, the largest of them."""
    group.starve()
    wait_until(lambda: not is_alive(runner), "the kernel ends it")
    group.limit_path.write_text(str(ENOUGH_BYTES))


def test_a_runner_killed_by_the_kernel_for_want_of_memory_is_replaced(log: Path, group: Group) -> None:
    with running(log, paced(ONE_SLOT), before=group.enter_with(ENOUGH_BYTES)) as server:
        whole = answer(server, "/api/generate", BODY)
        assert interrupted(server, lambda: starve(group, server.runner())) == whole
        assert rungs(server) == {RecoveryStep.RELOAD.value: 1}
        assert str(RunnerLostError(-signal.SIGKILL, Loss.OUT_OF_MEMORY)) in log.read_text()


def test_after_such_a_kill_idle_models_make_way_first(log: Path, group: Group, speller: str) -> None:
    def take_its_memory() -> None:
        (busy,) = (runner for runner in server.runners() if runner.pid != idle.pid)
        starve(group, busy)

    with running(log, paced(ONE_SLOT), before=group.enter_with(ENOUGH_BYTES)) as server:
        whole = answer(server, "/api/generate", BODY)
        fresh(server)
        server.generate("x", model=speller, predict=1)
        idle = server.runner()
        assert (
            answer(server, "/api/generate", BODY, lambda line: take_its_memory() if line == MIDDLE else None) == whole
        )
        assert rungs(server) == {RecoveryStep.EVICT_IDLE.value: 1}
        assert not idle.is_running()
        assert server.loaded()["name"] == MODEL


def test_a_kill_for_want_of_memory_of_another_program_is_not_the_runners(log: Path, group: Group) -> None:
    def kill() -> None:
        group.have_one_killed()
        server.runner().kill()

    with running(log, paced(ONE_SLOT)) as server:
        whole = answer(server, "/api/generate", BODY)
        assert interrupted(server, kill) == whole
        said = log.read_text()
        assert str(RunnerLostError(-signal.SIGKILL, Loss.KILLED)) in said
        assert Loss.OUT_OF_MEMORY.value not in said


def test_a_runner_that_freezes_while_it_asks_for_memory_harms_no_other(log: Path, speller: str) -> None:
    """Neither the server, which ends it in time, nor other runners wait for it."""
    settings = {**ONE_SLOT, "OLLAMA_KV_CACHE_INIT": "32", "OLLAMA_KV_CACHE_GROW": "32", "SWELL_STUCK": "1s"}

    def freeze() -> None:
        frozen = server.runner()
        frozen.send_signal(signal.SIGUSR2)
        wait_until(lambda: frozen.status() == psutil.STATUS_STOPPED, "it freezes")
        assert server.generate("x" * 100, model=speller, predict=4)["done"] is True
        assert frozen.status() == psutil.STATUS_STOPPED

    with running(log, sabotaged(settings)) as server:
        whole = answer(server, "/api/generate", BODY)
        assert interrupted(server, freeze) == whole
        assert rungs(server) == {RecoveryStep.RELOAD.value: 1}
        assert "gave no sign of life" in log.read_text()


def test_a_failed_assertion_in_c_is_a_crash_that_is_replaced(log: Path) -> None:
    with running(log, sabotaged(ONE_SLOT)) as server:
        whole = answer(server, "/api/generate", BODY)
        assert interrupted(server, lambda: server.runner().send_signal(signal.SIGUSR1)) == whole
        assert rungs(server) == {RecoveryStep.RELOAD.value: 1}
        said = log.read_text()
        assert "GGML_ASSERT(logits != nullptr) failed" in said
        assert str(RunnerLostError(-signal.SIGABRT, Loss.CRASHED)) in said
