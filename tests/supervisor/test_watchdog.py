"""When a runner counts as stuck."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

import pytest

from swell.protocol.messages import Pong
from swell.supervisor.watchdog import until_stuck

STUCK_S = 0.02
ENOUGH_S = 30 * STUCK_S


class Runner:
    """Answers with these numbers of batches, one after the other; then no more."""

    def __init__(self, batches: Iterable[int | None]) -> None:
        self.pings = 0
        self._batches: Iterator[int | None] = iter(batches)

    async def ping(self) -> Pong:
        self.pings += 1
        for batches in self._batches:
            return Pong(self.pings, batches)
        await asyncio.Event().wait()
        raise AssertionError


def watch(runner: Runner, is_awaited: Callable[[], bool] = lambda: True) -> float:
    async def limited() -> float:
        async with asyncio.timeout(ENOUGH_S):
            return await until_stuck(runner.ping, is_awaited, STUCK_S)

    return asyncio.run(limited())


def endless(batches: int | None) -> Iterator[int | None]:
    while True:
        yield batches


@pytest.mark.parametrize("answers", [0, 1, 5])
def test_a_process_that_answers_no_more_is_stuck(answers: int) -> None:
    runner = Runner(range(answers))
    assert watch(runner) >= STUCK_S
    assert runner.pings == answers + 1


def test_it_may_take_longer_to_start_than_to_answer() -> None:
    assert watch(Runner([])) >= 10 * STUCK_S


def test_a_batch_that_never_ends_is_stuck() -> None:
    assert watch(Runner(endless(3))) > 10 * STUCK_S


@pytest.mark.parametrize("batches", [endless(None), iter(range(10**6))], ids=["nothing to compute", "progress"])
def test_a_process_that_answers_is_not_stuck(batches: Iterator[int | None]) -> None:
    with pytest.raises(TimeoutError):
        watch(Runner(batches))


def test_a_process_that_nobody_waits_for_is_not_asked() -> None:
    runner = Runner([])
    with pytest.raises(TimeoutError):
        watch(runner, lambda: False)
    assert runner.pings == 0
