"""What ends runners in the field, really done to one: the kernel's kill for want of memory, an assertion in C."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.control_group import Group, new_group
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import STORY, answer, fresh, rungs, sabotaged

from swell.errors import RunnerLostError
from swell.loss import Loss
from swell.memory.machine import processes_killed
from swell.server.survival.ladder import Rung

pytestmark = pytest.mark.destructive

BODY: dict[str, Any] = {"prompt": STORY, "raw": True}
MIDDLE = 20
"""The line of the answer after which the fault strikes."""
ONE_SLOT = {"OLLAMA_NUM_PARALLEL": "1"}
NOTHING_BYTES = 64 << 10


@pytest.fixture
def group() -> Iterator[Group]:
    with new_group() as made:
        yield made


def interrupted(server: Server, strike: Callable[[], None]) -> str:
    """The answer of a runner with nothing cached that is struck in the middle."""
    fresh(server)
    return answer(server, "/api/generate", BODY, lambda line: strike() if line == MIDDLE else None)


def test_a_runner_killed_by_the_kernel_for_want_of_memory_is_replaced(log: Path, group: Group) -> None:
    """Only the runner is in the group that has no memory; the server is not, and neither is the next runner."""

    def take_its_memory() -> None:
        group.limit_path.write_text(str(NOTHING_BYTES))
        group.add(server.runner().pid)

    with running(log, ONE_SLOT) as server:
        whole = answer(server, "/api/generate", BODY)
        kills = processes_killed()
        assert interrupted(server, take_its_memory) == whole
        assert processes_killed() == kills + 1
        assert rungs(server) == {Rung.RELOAD.value: 1}
        assert str(RunnerLostError(-signal.SIGKILL, Loss.OUT_OF_MEMORY)) in log.read_text()


def test_after_such_a_kill_idle_models_make_way_first(log: Path, group: Group, speller: str) -> None:
    def take_its_memory() -> None:
        group.limit_path.write_text(str(NOTHING_BYTES))
        (busy,) = (runner for runner in server.runners() if runner.pid != idle.pid)
        group.add(busy.pid)

    with running(log, ONE_SLOT) as server:
        whole = answer(server, "/api/generate", BODY)
        fresh(server)
        server.generate("x", model=speller, predict=1)
        idle = server.runner()
        assert (
            answer(server, "/api/generate", BODY, lambda line: take_its_memory() if line == MIDDLE else None) == whole
        )
        assert rungs(server) == {Rung.EVICT_IDLE.value: 1}
        assert not idle.is_running()
        assert server.loaded()["name"] == MODEL


def test_a_failed_assertion_in_c_is_a_crash_that_is_replaced(log: Path) -> None:
    with running(log, sabotaged(ONE_SLOT)) as server:
        whole = answer(server, "/api/generate", BODY)
        assert interrupted(server, lambda: server.runner().send_signal(signal.SIGUSR1)) == whole
        assert rungs(server) == {Rung.RELOAD.value: 1}
        said = log.read_text()
        assert "GGML_ASSERT(logits != nullptr) failed" in said
        assert str(RunnerLostError(-signal.SIGABRT, Loss.CRASHED)) in said
