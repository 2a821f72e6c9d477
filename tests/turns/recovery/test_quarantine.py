"""Turns in quarantine: one at a time, the latest first, and nobody waits for ever."""

import asyncio

import hypothesis.strategies as st
from hypothesis import given
from tests.scheduler.fakes import model
from tests.waiting import settle

from swell.scheduler.runner_key import RunnerRole
from swell.turns.recovery.quarantine import Quarantine

A, B = model("a"), model("b")


class Suspect:
    """Waits for its turn on a model and has it until told to end."""

    def __init__(self, quarantine: Quarantine, arrival: int, name: str = "a") -> None:
        self.role: RunnerRole | None = None
        self.go = asyncio.Event()
        self.task = asyncio.create_task(self._live(quarantine, arrival, name))

    async def _live(self, quarantine: Quarantine, arrival: int, name: str) -> None:
        async with quarantine.turn(model(name), arrival) as role:
            self.role = role
            await self.go.wait()


def test_the_latest_comes_first_and_models_have_nothing_to_do_with_each_other() -> None:
    async def story() -> None:
        quarantine = Quarantine()
        suspects = [Suspect(quarantine, arrival) for arrival in (1, 3, 2)]
        other = Suspect(quarantine, 0, "b")
        await settle()
        assert [one.role for one in (*suspects, other)] == [RunnerRole.QUARANTINE, None, None, RunnerRole.QUARANTINE]
        assert quarantine.is_wanted(A)
        assert not quarantine.is_wanted(B)
        suspects[0].go.set()
        await settle()
        assert [one.role for one in suspects[1:]] == [RunnerRole.QUARANTINE, None]
        suspects[1].task.cancel()
        await settle()
        assert suspects[2].role is RunnerRole.QUARANTINE

    asyncio.run(story())


def test_a_conviction_clears_those_that_wait_and_is_remembered_for_its_model_and_content() -> None:
    async def story() -> None:
        quarantine = Quarantine()
        async with quarantine.turn(A, 2):
            waiting = Suspect(quarantine, 1)
            await settle()
        quarantine.convict(A, {"prompt": "\ud800"})
        await settle()
        assert waiting.role is RunnerRole.SHARED
        assert quarantine.knows(A, {"prompt": "\ud800"})
        assert not quarantine.knows(B, {"prompt": "\ud800"})
        assert not quarantine.knows(A, {"prompt": ""})

    asyncio.run(story())


@given(st.lists(st.tuples(st.sampled_from(["come", "end", "cancel", "convict"]), st.integers(0, 9)), max_size=40))
def test_there_is_one_at_a_time_and_everybody_comes_to_an_end(steps: list[tuple[str, int]]) -> None:
    async def story() -> None:
        quarantine, suspects = Quarantine(), list[Suspect]()
        for what, which in steps:
            inside = [one for one in suspects if one.role is RunnerRole.QUARANTINE and not one.task.done()]
            assert len(inside) <= 1
            if what == "come":
                suspects.append(Suspect(quarantine, len(suspects)))
            elif what == "convict":
                quarantine.convict(A, which)
            elif suspects:
                chosen = suspects[which % len(suspects)]
                if what == "end":
                    chosen.go.set()
                else:
                    chosen.task.cancel()
            await settle()
            open_ones = [one for one in suspects if not one.task.done()]
            assert any(one.role for one in open_ones) or not open_ones
        for one in suspects:
            one.go.set()
        await asyncio.wait_for(asyncio.gather(*(one.task for one in suspects), return_exceptions=True), 5)
        assert not quarantine.is_wanted(A)

    asyncio.run(story())


def test_only_so_much_is_remembered() -> None:
    quarantine = Quarantine()

    async def story() -> None:
        for number in range(1000):
            quarantine.convict(A, number)

    asyncio.run(story())
    assert [quarantine.knows(A, number) for number in (0, 700, 999)] == [False, False, True]
