"""Files with which llama.cpp crashes: two tries, then a pause."""

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from tests.scheduler.fakes import HandClock, World, model, with_adapters

from swell.errors import (
    LoadCrashedError,
    LoadDiedError,
    LoadTimeoutError,
    ModelLoadError,
    RunnerLostError,
    SwellError,
)
from swell.loss import Loss
from swell.models.model import Model
from swell.options import Options
from swell.scheduler.crashes import LoadCrashes
from swell.scheduler.load_options import LoadOptions

CRASH = LoadDiedError("signal: aborted", -6)
MODEL, FIT = model("a"), LoadOptions(maps_weights=False)


def _changed(**changes: Any) -> Model:
    """The model with weights of which some field is different."""
    return dataclasses.replace(MODEL, weights=dataclasses.replace(MODEL.weights, **changes))


def test_after_two_crashes_a_load_is_refused_until_some_minutes_are_over() -> None:
    clock = HandClock()
    crashes = LoadCrashes(clock)
    for _ in range(2):
        crashes.check(MODEL, FIT)
        crashes.note(MODEL, FIT, CRASH)
    with pytest.raises(LoadCrashedError, match="crashed 2 times while it loaded /a;"):
        crashes.check(MODEL, FIT)
    asyncio.run(clock.advance(300))
    crashes.check(MODEL, FIT)
    crashes.note(MODEL, FIT, CRASH)
    with pytest.raises(LoadCrashedError):
        crashes.check(MODEL, FIT)


def test_another_file_at_that_path_or_other_options_are_tried() -> None:
    crashes = LoadCrashes(HandClock())
    for _ in range(2):
        crashes.note(MODEL, FIT, CRASH)
    for other in (_changed(modified_at=MODEL.modified_at + timedelta(seconds=1)), _changed(digest="other")):
        crashes.check(other, FIT)
    crashes.check(with_adapters(MODEL, "one"), FIT)
    crashes.check(MODEL, LoadOptions(maps_weights=True))


@pytest.mark.parametrize(
    "error",
    [
        LoadDiedError("signal: killed", -9),
        LoadDiedError("signal: terminated", -15),
        LoadDiedError("exit status 1", 1),
        LoadDiedError("it can't be started"),
        LoadTimeoutError("slow"),
        ModelLoadError("/a", "no"),
    ],
)
def test_what_is_no_crash_is_tried_on(error: SwellError) -> None:
    crashes = LoadCrashes(HandClock())
    for _ in range(5):
        crashes.note(MODEL, FIT, error)
        crashes.check(MODEL, FIT)


def test_a_file_that_was_ever_loaded_is_not_to_blame() -> None:
    crashes = LoadCrashes(HandClock())
    crashes.note(MODEL, FIT, CRASH)
    crashes.note_loaded(MODEL, FIT)
    for _ in range(5):
        crashes.note(MODEL, FIT, CRASH)
        crashes.check(MODEL, FIT)
    other = _changed(digest="other")
    for _ in range(2):
        crashes.note(other, FIT, CRASH)
    with pytest.raises(LoadCrashedError):
        crashes.check(other, FIT)


def test_only_so_much_is_remembered() -> None:
    crashes = LoadCrashes(HandClock())
    for number in range(1000):
        for _ in range(2):
            crashes.note(model(str(number)), FIT, CRASH)
    crashes.check(model("0"), FIT)
    with pytest.raises(LoadCrashedError):
        crashes.check(model("999"), FIT)


def test_a_load_that_would_crash_takes_nothing_from_others() -> None:
    """Nor does one of its own that is loaded in another way, or an idle model that would have to go."""

    async def story() -> World:
        world = World(max_loaded_models=2)
        for name in "ab":
            async with world.scheduler.lease(model(name)):
                pass
        for number in range(4):
            world.launcher.failures["/c"] = [CRASH]
            with pytest.raises(LoadDiedError if number < 2 else LoadCrashedError):
                async with world.scheduler.lease(model("c"), None, Options(use_mmap=False)):
                    pass
            if number == 1:
                for name in "ab":
                    async with world.scheduler.lease(model(name)):
                        pass
        return world

    world = asyncio.run(story())
    assert world.launcher.begun.count("/c") == 2
    assert world.launcher.alive == ["/a", "/b"]


ABORTED, HUNG = RunnerLostError(-6), RunnerLostError(-9, Loss.STUCK)
KILLED, OUT_OF_MEMORY = RunnerLostError(-9, Loss.KILLED), RunnerLostError(-9, Loss.OUT_OF_MEMORY)


async def _loses(world: World, loss: RunnerLostError, *, answers: bool = False) -> None:
    """Load the model and lose its runner."""
    async with world.scheduler.lease(model("a")):
        runner = world.launcher.of("/a")
        runner.has_answered = answers
        runner.lose(loss)
        await asyncio.sleep(0)


@pytest.mark.parametrize("loss", [ABORTED, HUNG])
def test_a_file_that_no_runner_survives_is_given_up(loss: RunnerLostError) -> None:
    """The load itself succeeds. After a pause it is tried again, once."""

    async def story() -> World:
        world = World()
        world.launcher.deadly["/a"] = loss
        await _loses(world, loss)
        for expected in (LoadDiedError, LoadDiedError, LoadCrashedError, LoadCrashedError):
            with pytest.raises(expected):
                async with world.scheduler.lease(model("a")):
                    pass
        assert world.launcher.begun.count("/a") == 3
        await world.clock.advance(300)
        for expected in (LoadDiedError, LoadCrashedError):
            with pytest.raises(expected):
                async with world.scheduler.lease(model("a")):
                    pass
        return world

    assert asyncio.run(story()).launcher.begun.count("/a") == 4


def test_a_request_that_ends_its_runner_is_not_taken_for_the_file() -> None:
    """The file proves each time that it is sound."""

    async def story() -> World:
        world = World()
        for _ in range(6):
            await _loses(world, ABORTED)
        return world

    assert asyncio.run(story()).launcher.begun.count("/a") == 6


@pytest.mark.parametrize(("loss", "answers"), [(ABORTED, True), (KILLED, False), (OUT_OF_MEMORY, False)])
def test_who_is_not_to_blame_proves_nothing(loss: RunnerLostError, answers: bool) -> None:
    async def story() -> World:
        world = World()
        world.launcher.deadly["/a"] = ABORTED
        for _ in range(6):
            await _loses(world, loss, answers=answers)
        return world

    assert asyncio.run(story()).launcher.begun.count("/a") == 6
