"""What is done at each step, with a scheduler that only notes what it is asked."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from swell.cache import CacheType
from swell.errors import KvGrowError, ModelLoadError, RunnerLostError, SwellError
from swell.loss import Loss
from swell.metrics.observer import Metrics
from swell.models.model import Model, open_model
from swell.options import Options
from swell.scheduler.holds import ModelHolds
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.runner_key import RunnerRole
from swell.supervisor.leased import LeasedRunner
from swell.turns.recovery.ladder import RecoveryStep
from swell.turns.recovery.quarantine import Quarantine
from swell.turns.recovery.recovery import Limits, Recovery, retried
from swell.turns.request import TurnRequest

GROWTH = KvGrowError(from_cells=64, to_cells=96, max_cells=1024, needed_bytes=4, free_bytes=1)
KILLED = RunnerLostError(-9, Loss.KILLED)


class Noting:
    """Models as they are asked for."""

    def __init__(self, *, idle: int = 0, busy: int = 0, loaded: LoadOptions | None = None) -> None:
        self.idle, self.busy, self.loaded = idle, busy, loaded
        self.asked: list[object] = []
        self.roles: list[RunnerRole] = []
        self.loading_ns = (0, 0)
        self.holds = ModelHolds()

    @contextlib.asynccontextmanager
    async def lease(
        self,
        model: Model,
        keep_alive_s: float | None = None,
        options: Options | None = None,
        also: LoadOptions | None = None,
        role: RunnerRole = RunnerRole.SHARED,
    ) -> AsyncIterator[LeasedRunner]:
        self.asked.append(also)
        self.roles.append(role)
        yield cast(LeasedRunner, self)

    def load_options_of(self, model: Model) -> LoadOptions | None:
        return self.loaded

    def count_idle(self, *, but: Model) -> int:
        return self.idle

    def count_busy(self) -> int:
        return self.busy

    async def evict_idle(self, *, but: Model) -> None:
        self.asked.append(f"evict all but {but.name}")
        self.idle = 0

    async def wait_for_change(self) -> None:
        self.asked.append("wait")


@pytest.fixture
def model(tiny_gguf: Path) -> Model:
    return open_model(tiny_gguf, "tiny:latest", "tiny")


def recovery(
    models: Noting,
    model: Model,
    metrics: Metrics | None = None,
    *,
    attempts: int = 4,
    quarantine: Quarantine | None = None,
    content: object = None,
) -> Recovery:
    limits = Limits(attempts_max=attempts, is_cache_flexible=True)
    request = TurnRequest(model=model, content=content)
    return Recovery(cast(Any, models), request, limits, quarantine or Quarantine(), metrics or Metrics())


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swell.turns.recovery.recovery.back_off_s", lambda tried: 0)


@pytest.mark.usefixtures("no_pause")
def test_each_step_is_done_counted_and_told(model: Model) -> None:
    models, metrics = Noting(idle=1, busy=1, loaded=LoadOptions(cache_type=CacheType.F16)), Metrics()
    one = recovery(models, model, metrics)

    async def climb() -> list[RecoveryStep]:
        return [await one.after(GROWTH, 5) for _ in range(4)]

    taken = asyncio.run(climb())
    assert taken == [RecoveryStep.EVICT_IDLE, RecoveryStep.WAIT, RecoveryStep.SMALLER_CACHE, RecoveryStep.SMALLER_CACHE]
    assert models.asked == ["evict all but tiny:latest", "wait"]
    assert one.taken == taken
    assert metrics.recovery_steps == Counter(step.value for step in taken)


def test_a_smaller_cache_is_asked_for_with_the_next_lease(model: Model) -> None:
    models = Noting(loaded=LoadOptions(cache_type=CacheType.F16))
    one = recovery(models, model)

    async def climb() -> None:
        assert await one.after(GROWTH, 5) is RecoveryStep.SMALLER_CACHE
        async with one.lease():
            pass

    asyncio.run(climb())
    assert models.asked == [LoadOptions(cache_type=CacheType.Q8_0)]


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(("error", "progress"), [(KILLED, 32), (GROWTH, 1)])
def test_progress_begins_the_ladder_anew(model: Model, error: SwellError, progress: int) -> None:
    one = recovery(Noting(busy=1), model, attempts=1)

    async def climb() -> list[RecoveryStep]:
        return [await die(one, progress * step, error) for step in (1, 2, 3, 3)]

    *taken, last = asyncio.run(climb())
    assert RecoveryStep.GIVE_UP not in taken
    assert last in (RecoveryStep.GIVE_UP, RecoveryStep.WINDOW_END)


@pytest.mark.usefixtures("no_pause")
def test_a_request_that_ends_its_runner_at_each_token_comes_to_an_end(model: Model) -> None:
    one = recovery(Noting(), model)

    async def climb() -> int:
        generated = 0
        while await die(one, generated) is not RecoveryStep.GIVE_UP:
            generated += 1
        return generated

    assert asyncio.run(climb()) == 4


async def die(one: Recovery, generated: int = 0, error: SwellError = KILLED) -> RecoveryStep:
    """One life of a request in a runner."""
    try:
        async with one.lease():
            raise error
    except SwellError as failure:
        return await one.after(failure, generated)


@pytest.mark.usefixtures("no_pause")
def test_nobody_is_given_up_beside_others_for_a_runner_that_ended(model: Model) -> None:
    """It had used its attempts for want of memory; then two runners end for reasons that may be somebody else's."""
    models = Noting(idle=1, busy=1, loaded=LoadOptions(cache_type=CacheType.F16))
    one = recovery(models, model, attempts=3)

    async def live() -> list[RecoveryStep]:
        return [await die(one, 5, error) for error in (GROWTH, GROWTH, GROWTH, KILLED, KILLED, KILLED)]

    *tried, first, second, last = asyncio.run(live())
    assert tried == [RecoveryStep.EVICT_IDLE, RecoveryStep.WAIT, RecoveryStep.SMALLER_CACHE]
    assert (first, second, last) == (RecoveryStep.RELOAD, RecoveryStep.RELOAD, RecoveryStep.GIVE_UP)
    assert models.roles == [RunnerRole.SHARED] * 5 + [RunnerRole.QUARANTINE]


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("attempts", [0, 1, 2, 4, 8])
def test_all_attempts_but_the_first_two_are_made_in_quarantine(model: Model, attempts: int) -> None:
    models = Noting()
    one = recovery(models, model, attempts=attempts)

    async def live() -> int:
        lives = 1
        while await die(one) is not RecoveryStep.GIVE_UP:
            lives += 1
        return lives

    assert asyncio.run(live()) == attempts + 1
    common = min(2, max(attempts, 1))
    assert models.roles == [RunnerRole.SHARED] * common + [RunnerRole.QUARANTINE] * (attempts + 1 - common)


@pytest.mark.usefixtures("no_pause")
def test_when_the_guilty_is_found_the_others_have_all_their_attempts_again(model: Model) -> None:
    """Two requests see the same runners end. The later one is tried first, is why, and the earlier one goes on."""
    models, quarantine = Noting(), Quarantine()
    innocent = recovery(models, model, attempts=2, quarantine=quarantine, content="innocent")
    guilty = recovery(models, model, attempts=2, quarantine=quarantine, content="guilty")

    async def live() -> None:
        for _ in range(2):
            assert [await die(one) for one in (innocent, guilty)] == [RecoveryStep.RELOAD] * 2
        models.roles.clear()
        in_turn = asyncio.Event()

        async def trial() -> None:
            with pytest.raises(RunnerLostError):  # noqa: PT012
                async with guilty.lease():
                    in_turn.set()
                    await asyncio.sleep(0)
                    raise KILLED
            assert await guilty.after(KILLED, 0) is RecoveryStep.GIVE_UP

        async def wait() -> None:
            await in_turn.wait()
            async with innocent.lease():
                pass

        await asyncio.gather(trial(), wait())
        assert models.roles == [RunnerRole.QUARANTINE, RunnerRole.SHARED]
        assert [await die(innocent) for _ in range(3)] == [
            RecoveryStep.RELOAD,
            RecoveryStep.RELOAD,
            RecoveryStep.GIVE_UP,
        ]

    asyncio.run(live())
    again = recovery(models, model, attempts=2, quarantine=quarantine, content="guilty")
    models.roles.clear()
    assert asyncio.run(die(again)) is RecoveryStep.GIVE_UP  # one life, alone
    assert models.roles == [RunnerRole.QUARANTINE]


@pytest.mark.usefixtures("no_pause")
def test_who_is_cleared_makes_room_for_those_that_wait(model: Model) -> None:
    quarantine = Quarantine()
    second_models = Noting()
    first = recovery(Noting(), model, quarantine=quarantine)
    second = recovery(second_models, model, quarantine=quarantine)

    async def live() -> None:
        for one in (first, second):
            for _ in range(2):
                await die(one, 7)
        async with second.lease():
            assert not second.leaves(1000)  # for nobody
            waiting = asyncio.create_task(die(first, 7))
            await asyncio.sleep(0)
            assert [second.leaves(generated) for generated in (7, 38, 39)] == [False, False, True]
        assert await waiting is RecoveryStep.RELOAD
        async with second.lease():
            assert second_models.roles[-1] is RunnerRole.SHARED

    asyncio.run(live())


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(("error", "calls"), [(KILLED, 3), (ModelLoadError("m", "no"), 1)])
def test_work_is_done_again_as_a_whole(model: Model, error: SwellError, calls: int) -> None:
    done = 0

    async def work(_runner: LeasedRunner) -> int:
        nonlocal done
        done += 1
        raise error

    with pytest.raises(type(error)):
        asyncio.run(retried(recovery(Noting(), model, attempts=2), work))
    assert done == calls


@pytest.mark.usefixtures("no_pause")
def test_the_models_files_are_held_until_the_request_has_ended(model: Model) -> None:
    """Between two runners, nobody else needs them: where the name was given to another version, they would go."""

    async def work(runner: LeasedRunner) -> str:
        assert models.holds.files() == {model.weights.path}
        if len(models.asked) < 2:
            raise KILLED
        return "done"

    models = Noting()
    one, other = recovery(models, model), recovery(models, model)
    assert models.holds.files() == {model.weights.path}
    assert asyncio.run(retried(one, work)) == "done"
    assert models.holds.files() == {model.weights.path}
    other.end()
    assert models.holds.files() == set()
