"""Views and the monitor behind them, over models that are made up, in a time that passes at once."""

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.scheduler.fakes import FACTS
from tests.virtual_time import VirtualClock, VirtualLoop
from tests.waiting import settle

from swell.cache import StoreKind
from swell.metrics.events import WindowGrown
from swell.metrics.observer import Metrics
from swell.metrics.request_record import RequestRecord
from swell.models.model import open_model
from swell.observe.live import EVENTS_KEPT, UNREAD_MAX, Live, LiveMessage
from swell.observe.monitor import HISTORY_LENGTH, Monitor
from swell.protocol.messages import Stats, ThreadStats, Totals
from swell.scheduler.scheduler import LoadedModel
from swell.settings import Settings

STATS = Stats(
    id=1,
    context_max=4096,
    context_used=0,
    context_active=0,
    context_allocated=2048,
    context_initial=2048,
    slots=1,
    slots_in_use=0,
    threads=ThreadStats(now=1, allowed=2, waited_ns=0),
    totals=Totals(),
    kv_granted_bytes=5,
    kv_resident_bytes=4,
    kv_reserved_bytes=9,
    kv_reclaimable_bytes=0,
    weights_bytes=3,
    weights_resident_bytes=3,
    other_bytes=1,
    resident_bytes=8,
    store=StoreKind.RESERVED,
    store_reason="",
    slots_detail=[],
)


@dataclasses.dataclass
class World:
    """One model, whose numbers a test changes; `looks` counts how often somebody asked."""

    row: LoadedModel
    looks: int = 0

    def __post_init__(self) -> None:
        self.metrics = Metrics()
        self.monitor = Monitor(Settings(), self.metrics, self.describe, lambda: 0, VirtualClock())
        self.live = Live(self.metrics, self.monitor)

    async def describe(self) -> list[LoadedModel]:
        self.looks += 1
        return [self.row]

    def computes(self, generated: int) -> None:
        """So many more tokens were written."""
        assert self.row.stats is not None
        totals = self.row.stats.totals
        more = msgspec.structs.replace(
            totals, generated=totals.generated + generated, computed=totals.computed + generated
        )
        self.row = dataclasses.replace(self.row, stats=msgspec.structs.replace(self.row.stats, totals=more))

    def grows(self) -> None:
        self.metrics.report(WindowGrown(model="tiny", slot=0, from_tokens=1, to_tokens=2, granted_bytes=3))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.monitor.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def view(self) -> AsyncIterator[list[LiveMessage]]:
        """What a view that reads at once has been told."""
        told: list[LiveMessage] = []

        async def read() -> None:
            async with contextlib.aclosing(self.live.messages()) as messages:
                async for message in messages:
                    told.append(message)

        task = asyncio.create_task(read())
        await settle()
        try:
            yield told
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


Story = Callable[[World], Coroutine[Any, Any, None]]


@pytest.fixture
def tell(tiny_gguf: Path) -> Callable[[Story], None]:
    """Runs a story in a world of its own."""

    def run(story: Story) -> None:
        async def begin() -> None:
            model = open_model(tiny_gguf, "tiny", "tiny")
            await story(World(LoadedModel(model, FACTS, STATS, VirtualClock().now(), None)))

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(begin())

    return run


def names(told: list[LiveMessage]) -> list[str]:
    return [message.name for message in told]


def test_while_nothing_happens_and_nobody_looks_the_monitor_rests(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.running():
            await asyncio.sleep(10)
            looks = world.looks
            await asyncio.sleep(1000)
            assert world.looks == looks
            world.grows()
            await settle()
            assert world.looks == looks + 1

    tell(story)


def test_while_a_turn_goes_on_it_looks_each_second_and_remembers_ten_minutes(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.running():
            turn = RequestRecord("a").begin_turn(world.metrics, "tiny")
            turn.begin()
            await asyncio.sleep(100.5)
            assert 100 <= world.looks <= 103
            await asyncio.sleep(1000)
            assert len(world.monitor.history) == HISTORY_LENGTH
            times_s = [moment.at_s for moment in world.monitor.history]
            assert all(0.9 < later - sooner < 1.1 for sooner, later in itertools.pairwise(times_s))
            turn.end()

    tell(story)


def test_a_view_is_told_what_was_and_then_what_changes(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.running():
            world.grows()
            await asyncio.sleep(3)
            async with world.view() as told:
                first = msgspec.json.decode(told[0].data)
                assert told[0].name == "snapshot"
                assert [event["event"] for event in first["events"]] == ["window_grown"]
                assert [one["model"] for one in first["now"]["models"]] == ["tiny"]
                assert first["history"][-1]["models"][0][:3] == ["tiny", 0, 2048]
                await asyncio.sleep(5)
                assert names(told[1:]) == []  # nothing changed
                world.computes(7)
                await asyncio.sleep(5)
                assert names(told[1:]) == ["numbers", "numbers"]  # and then nothing more
                rates = [msgspec.json.decode(message.data)["models"][0]["generated_per_s"] for message in told[1:]]
                assert rates == [14.0, 0.0]
                world.grows()
                await settle()
                assert names(told)[-1] == "event"
            looks = world.looks
            await asyncio.sleep(100)
            assert world.looks <= looks + 4  # the view has left

    tell(story)


def test_views_look_twice_a_second_however_many_there_are(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.running(), contextlib.AsyncExitStack() as stack:
            views = [await stack.enter_async_context(world.view()) for _ in range(50)]
            looks = world.looks
            for _ in range(20):
                world.computes(1)
                await asyncio.sleep(0.5)
            assert 18 <= world.looks - looks <= 22
            assert all(names(told)[1:] == names(views[0])[1:] for told in views)
            assert all(told[-1] is views[0][-1] for told in views)  # written once

    tell(story)


def test_a_slow_view_loses_the_oldest_and_is_told_so(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with contextlib.aclosing(world.live.messages()) as messages:
            assert (await anext(messages)).name == "snapshot"
            for _ in range(UNREAD_MAX + 7):
                world.grows()
            lost = await anext(messages)
            assert (lost.name, msgspec.json.decode(lost.data)) == ("lost", {"messages": 7})
            rest = [await anext(messages) for _ in range(UNREAD_MAX)]
            assert set(names(rest)) == {"event"}
            world.live.close()
            assert [message async for message in messages] == []

    tell(story)


def test_what_was_is_kept_within_bounds_and_without_requests_that_only_look(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        world.metrics.report(RequestRecord("look").finished())
        for _ in range(EVENTS_KEPT + 50):
            world.grows()
        async with world.view() as told:
            events = msgspec.json.decode(told[0].data)["events"]
            assert len(events) == EVENTS_KEPT
            assert {event["event"] for event in events} == {"window_grown"}

    tell(story)


def test_a_runner_that_does_not_answer_is_shown_as_it_was(tell: Callable[[Story], None]) -> None:
    async def story(world: World) -> None:
        async with world.running():
            await settle()
            world.row = dataclasses.replace(world.row, stats=None)
            world.monitor.poke()
            await asyncio.sleep(5)
            assert [one.granted_tokens for one in world.monitor.latest.models] == [2048]

    tell(story)


def test_a_look_that_fails_ends_nothing(tell: Callable[[Story], None], caplog: pytest.LogCaptureFixture) -> None:
    async def story(world: World) -> None:
        async def fail() -> list[LoadedModel]:
            raise ValueError("no")

        world.monitor._describe = fail
        async with world.running():
            await settle()
            world.monitor._describe = world.describe
            world.monitor.poke()
            await asyncio.sleep(5)
            assert world.looks > 0

    tell(story)
    assert "could not be looked at" in caplog.text
