"""The scheduler among fakes: nothing here takes time."""

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.scheduler.fakes import MB, World, model, with_adapters
from tests.virtual_time import VirtualLoop
from tests.waiting import settle

from swell.devices import DeviceKind, DeviceMemory
from swell.durations import FOREVER_S
from swell.errors import ContextError, LoadDiedError, ModelLoadError, ServerBusyError
from swell.memory.budget import parse_budget
from swell.models.catalog import Catalog
from swell.models.model import Model
from swell.options import Options
from swell.protocol.messages import DevicesFound, ShrinkLevel
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.reclaiming import Source
from swell.supervisor.runner import Runner

A, B, C = model("a"), model("b"), model("c")
SERVER_BUSY = "server busy, please try again.  maximum pending requests exceeded"


def scenario(**settings: Any) -> Callable[[Callable[[World], Awaitable[None]]], Callable[[], None]]:
    """Run a test in a world of its own, in virtual time; afterwards nothing may be left of it."""

    def wrap(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
        async def run() -> None:
            world = World(**settings)
            await test(world)
            await world.scheduler.close()
            assert world.launcher.alive == []
            assert asyncio.all_tasks() == {asyncio.current_task()}

        def run_test() -> None:
            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                runner.run(run())

        run_test.__name__ = test.__name__
        run_test.__doc__ = test.__doc__
        return run_test

    return wrap


async def use(world: World, *models: Model, **lease: Any) -> None:
    """One request after the other."""
    for one in models:
        async with world.scheduler.lease(one, **lease):
            pass


class Request:
    """A request that lasts until it is told to end; `runner` once it has one."""

    def __init__(self, world: World, wanted: Model, **lease: Any) -> None:
        self._lease = world.scheduler.lease(wanted, **lease)
        self._ended = asyncio.Event()
        self.runner: Runner | None = None
        self.task = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        async with self._lease as self.runner:
            await self._ended.wait()

    async def end(self) -> None:
        self._ended.set()
        await settle()

    async def cancel(self) -> None:
        self.task.cancel()
        await settle()


@contextlib.asynccontextmanager
async def request(world: World, wanted: Model, **lease: Any) -> AsyncIterator[Request]:
    """A request that is under way while inside; it is cancelled if it hasn't come to a runner by the end."""
    made = Request(world, wanted, **lease)
    await settle()
    try:
        yield made
    finally:
        await made.end()
        await made.cancel()
        await asyncio.gather(made.task, return_exceptions=True)


@scenario()
async def test_requests_of_any_window_share_one_load(world: World) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for number in range(10):
            options = Options(num_ctx=100 * number, temperature=number / 10, seed=number)
            await stack.enter_async_context(request(world, A, options=options))
    assert world.launcher.begun == ["/a"]


@scenario()
async def test_another_file_at_the_same_path_is_loaded_anew(world: World) -> None:
    """Two names of one file share a runner; what replaced a file is another model."""
    replaced = dataclasses.replace(A, weights=dataclasses.replace(A.weights, digest="another"))
    await use(world, A, dataclasses.replace(A, name="other name"))
    assert world.launcher.begun == ["/a"]
    async with world.scheduler.lease(A), request(world, replaced):
        assert len(world.launcher.alive) == 2  # who uses the old one may finish
    await settle()
    assert world.launcher.begun == ["/a", "/a"]
    assert world.launcher.alive == ["/a"]


@scenario()
async def test_models_with_other_adapters_run_beside_each_other(world: World) -> None:
    tuned, other = with_adapters(A, "one"), with_adapters(A, "other")
    await use(world, A, tuned, dataclasses.replace(tuned, name="twin"), other, A, tuned, keep_alive_s=FOREVER_S)
    assert world.launcher.begun == ["/a", "/a", "/a"]
    assert world.launcher.alive == ["/a", "/a", "/a"]
    await world.scheduler.unload(tuned)
    await settle()
    assert world.launcher.alive == ["/a", "/a"]


@scenario()
async def test_another_adapter_at_the_same_path_is_loaded_anew(world: World) -> None:
    tuned, other = with_adapters(A, "one"), with_adapters(A, "other")
    (adapter,) = tuned.manifest.adapters
    manifest = dataclasses.replace(tuned.manifest, adapters=(dataclasses.replace(adapter, digest="another"),))
    await use(world, A, tuned, other, keep_alive_s=FOREVER_S)
    await use(world, dataclasses.replace(tuned, manifest=manifest), keep_alive_s=FOREVER_S)
    assert world.launcher.begun == ["/a", "/a", "/a", "/a"]
    assert world.launcher.alive == ["/a", "/a", "/a"]


@scenario()
async def test_an_unload_ends_what_a_file_was_before_too(world: World) -> None:
    replaced = dataclasses.replace(A, weights=dataclasses.replace(A.weights, digest="another"))
    await use(world, A, keep_alive_s=FOREVER_S)
    await world.scheduler.unload(replaced)
    await settle()
    assert world.launcher.alive == []


@scenario()
async def test_nobody_holds_a_runner_and_waits_for_another(world: World) -> None:
    """Two of them could wait for each other."""
    async with world.scheduler.lease(A):
        with pytest.raises(AssertionError, match="who holds one runner"):
            await use(world, B)
    await use(world, B)  # one after the other is fine


@scenario()
async def test_cells_for_the_next_runner_are_freed_on_every_way(world: World) -> None:
    await use(world, A)
    world.launcher.of("/a").stored_bytes = 5 * MB
    world.launcher.of("/a").go.clear()
    async with request(world, A, options=Options(use_mmap=False)) as leaving:
        assert handovers() == 1
        await leaving.cancel()  # while the cells are saved
        assert handovers() == 0
    async with request(world, A, options=Options(use_mmap=False)) as leaving:
        world.launcher.go.clear()
        world.launcher.of("/a").go.set()
        await settle()
        assert handovers() == 1
        await leaving.cancel()  # while the next runner loads
        assert handovers() == 0
    world.launcher.go.set()
    await use(world, A)
    world.launcher.of("/a").stored_bytes = 5 * MB
    await use(world, A, options=Options(use_mmap=False))
    assert world.launcher.of("/a").order.handover is not None
    assert handovers() == 0


def handovers() -> int:
    """How many files for cells are open."""
    targets = (os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    return sum("swell-handover" in target for target in targets)


@scenario()
async def test_what_a_runner_cannot_change_reloads_it_once(world: World) -> None:
    for options in [Options(), Options(use_mmap=False), Options(), Options(num_thread=3), Options(use_mmap=False)]:
        await use(world, A, options=options)
    assert [runner.order.maps_weights for runner in world.launcher.runners] == [True, False]
    assert world.launcher.alive == ["/a"]


@scenario()
async def test_a_reload_waits_until_the_model_is_idle(world: World) -> None:
    async with (
        request(world, A) as first,
        request(world, A, options=Options(use_mmap=False)),
        request(world, A) as third,
    ):
        assert len(world.launcher.runners) == 1
        assert third.runner is None  # it doesn't overtake the second
        await first.end()
        assert [runner.order.maps_weights for runner in world.launcher.runners] == [True, False]
        assert third.runner is not None


@scenario(keep_alive_s=300.0)
async def test_an_unused_model_stays_as_long_as_it_is_wanted(world: World) -> None:
    await use(world, A)
    await world.clock.advance(299)
    assert world.launcher.alive == ["/a"]
    async with world.scheduler.lease(A):
        await world.clock.advance(1000)
    await world.clock.advance(299)
    assert world.launcher.alive == ["/a"]
    await world.clock.advance(1)
    assert world.launcher.alive == []
    assert world.clock.pending == 0


@scenario(keep_alive_s=300.0)
async def test_keep_alive_of_a_request_stays_in_force(world: World) -> None:
    await use(world, A, keep_alive_s=10.0)
    await use(world, A)
    await world.clock.advance(10)
    assert world.launcher.alive == []
    await use(world, A, keep_alive_s=FOREVER_S)
    await world.clock.advance(10**6)
    assert world.launcher.alive == ["/a"]
    await use(world, A, keep_alive_s=0.0)
    await settle()
    assert world.launcher.alive == []


@scenario()
async def test_the_latest_requests_ceiling_is_told(world: World) -> None:
    for num_ctx in (None, 512, 128, None):
        async with world.scheduler.lease(A, options=Options(num_ctx=num_ctx)):
            await settle()
        (row,) = await world.scheduler.loaded()
        assert row.num_ctx == num_ctx


@scenario()
async def test_files_are_in_use_while_a_runner_or_a_request_has_them(world: World) -> None:
    world.scheduler.holds.hold(world, B)
    assert world.scheduler.files_in_use() == set(B.paths)
    await use(world, A)
    assert world.scheduler.files_in_use() == {*A.paths, *B.paths}
    world.scheduler.holds.release(world)
    assert world.scheduler.files_in_use() == set(A.paths)


@scenario()
async def test_an_unload_lets_requests_finish(world: World) -> None:
    async with request(world, A):
        await world.scheduler.unload(A)
        await settle()
        assert world.launcher.alive == ["/a"]
        (row,) = await world.scheduler.loaded()
        assert row.expires_at == world.clock.now()
    assert world.launcher.alive == []
    await world.scheduler.unload(B)


@scenario(max_loaded_models=2)
async def test_eviction_follows_use(world: World) -> None:
    await use(world, A, B, A, C)
    assert world.launcher.alive == ["/a", "/c"]
    await use(world, B)
    assert world.launcher.alive == ["/b", "/c"]


@scenario()
async def test_idle_models_are_evicted_but_for_the_one_they_make_way_for(world: World) -> None:
    await use(world, A, B, C)
    assert world.scheduler.count_idle(but=B) == 2
    await world.scheduler.evict_idle(but=B)
    assert world.launcher.alive == ["/b"]
    assert world.scheduler.count_idle(but=B) == 0


@scenario()
async def test_three_models_may_be_loaded_by_default(world: World) -> None:
    await use(world, A, B, C)
    assert world.launcher.alive == ["/a", "/b", "/c"]
    await use(world, model("d"))
    assert world.launcher.alive == ["/b", "/c", "/d"]


@scenario()
async def test_memory_limits_the_number_too(world: World) -> None:
    world.memory.free = 4200 * MB  # 2 % of the total is headroom; the weights of two are mapped into it
    for one in (A, B, C, A, C, B):
        await use(world, one)
        assert len(world.launcher.alive) <= 2
    assert world.launcher.alive == ["/b", "/c"]
    assert len(world.launcher.begun) == 5


@scenario()
async def test_promises_of_idle_models_make_way_before_models_do(world: World) -> None:
    world.memory.free = 4500 * MB
    await use(world, A)
    world.launcher.of("/a").grant(1000 * MB, 10 * MB)
    await use(world, B)
    assert world.launcher.alive == ["/a", "/b"]
    assert world.launcher.of("/a").shrunk == [ShrinkLevel.UNSTORED]


@scenario(max_loaded_models=1)
async def test_a_busy_model_is_waited_for(world: World) -> None:
    async with request(world, A) as first, request(world, B) as second:
        assert world.launcher.begun == ["/a"]
        await first.end()
        assert second.runner is not None
        assert world.launcher.alive == ["/b"]


@scenario(max_loaded_models=1)
async def test_newcomers_wait_behind_one_that_waits_for_their_model(world: World) -> None:
    async with request(world, A) as first, request(world, B) as second, request(world, A) as third:
        assert (second.runner, third.runner) == (None, None)
        await first.end()
        assert second.runner is not None
        assert third.runner is None
        await second.end()
        assert third.runner is not None
    assert world.launcher.begun == ["/a", "/b", "/a"]


@scenario(max_loaded_models=1)
async def test_a_waiter_that_leaves_leaves_nothing(world: World) -> None:
    async with request(world, A), request(world, B) as waiting, request(world, A) as newcomer:
        assert newcomer.runner is None
        await waiting.cancel()
        assert newcomer.runner is not None
    await use(world, A)
    assert world.launcher.begun == ["/a"]


@scenario(holds_loads=True, max_queue=2)
async def test_too_many_waiting_requests_are_refused_at_once(world: World) -> None:
    async with request(world, A), request(world, A), request(world, A):
        with pytest.raises(ServerBusyError) as caught:
            await use(world, A)
        assert str(caught.value) == SERVER_BUSY
        world.launcher.go.set()
        await settle()
        await use(world, A)
    assert world.launcher.begun == ["/a"]


@scenario(max_loaded_models=1, max_queue=0)
async def test_without_a_queue_only_the_first_may_wait(world: World) -> None:
    async with request(world, A), request(world, B):
        with pytest.raises(ServerBusyError):
            await use(world, C)


@scenario(holds_loads=True)
async def test_a_load_that_nobody_waits_for_is_aborted(world: World) -> None:
    async with request(world, A), request(world, A):
        pass
    assert world.launcher.aborted == ["/a"]
    assert await world.scheduler.loaded() == []


@scenario()
async def test_a_failed_load_says_why_and_the_next_request_tries_again(world: World) -> None:
    world.launcher.failures["/a"] = [ModelLoadError("/a", "it is broken")]
    await use(world, B)
    with pytest.raises(ModelLoadError, match="it is broken"):
        await use(world, A)
    assert world.launcher.alive == ["/b"]
    await use(world, A)
    assert world.launcher.alive == ["/a", "/b"]


@pytest.mark.parametrize("error", [ContextError(1, 1, "no memory"), LoadDiedError("signal: killed", -9)])
def test_a_load_that_fails_for_memory_is_repeated_without_idle_models(error: Exception) -> None:
    @scenario()
    async def test(world: World) -> None:
        await use(world, A, B)
        world.launcher.failures["/c"] = [error]
        async with request(world, C), request(world, C) as second:
            assert second.runner is not None
        assert world.launcher.begun[2:] == ["/c", "/c"]
        assert world.launcher.alive == ["/b", "/c"]

    test()


@scenario()
async def test_a_load_that_fails_for_memory_on_its_own_fails(world: World) -> None:
    world.launcher.failures["/a"] = [ContextError(1, 1, "no memory")]
    with pytest.raises(ContextError):
        await use(world, A)


@scenario()
async def test_a_lost_runner_is_replaced(world: World) -> None:
    await use(world, A)
    await world.launcher.of("/a").stop()
    await settle()
    assert await world.scheduler.loaded() == []
    await use(world, A)
    assert world.launcher.begun == ["/a", "/a"]


@scenario()
async def test_idle_models_give_what_a_busy_one_lacks(world: World) -> None:
    world.memory.free = 10_000 * MB
    await use(world, A, B)
    idle = world.launcher.of("/b")
    idle.grant(7900 * MB, 50 * MB)
    async with request(world, A):
        world.launcher.of("/a").need(7, 500 * MB)
        await settle()
        assert idle.shrunk == [ShrinkLevel.UNSTORED]
        world.launcher.of("/a").need(8, 900 * MB)
        await settle()
        assert idle.shrunk[1:] == [ShrinkLevel.PREFIXES]
        assert world.launcher.alive == ["/a"]  # it isn't the budget that is exceeded, so the weights go as well
        assert world.launcher.of("/a").offered == [7, 8]
        assert world.scheduler.metrics.reclaims == {Source.UNUSED.value: 1, Source.IDLE_MODELS.value: 1}


@scenario(kv_wait_s=5, kv_budget=parse_budget("5000MB"))
async def test_nothing_is_taken_in_vain(world: World) -> None:
    """What all have together is not enough: so they keep it, idle ones and the idle slots of busy ones."""
    await use(world, A, B)
    idle = world.launcher.of("/b")
    idle.grant(3000 * MB, 3000 * MB)
    async with request(world, A), request(world, C):
        busy = world.launcher.of("/c")
        busy.grant(2000 * MB, 2000 * MB)
        world.launcher.of("/a").need(7, 5001 * MB)
        await settle()
        await asyncio.sleep(6)  # somebody may end, and what that gives could be enough
        assert world.launcher.of("/a").offered == [7]
        assert (idle.shrunk, busy.shrunk, world.launcher.alive) == ([], [], ["/a", "/b", "/c"])
        world.launcher.of("/a").need(8, 4500 * MB)
        await settle()
        assert idle.shrunk == [ShrinkLevel.PREFIXES]  # with those of the busy one it may be
        assert busy.shrunk == [ShrinkLevel.PREFIXES]


@scenario(kv_budget=parse_budget("1000MB"))
async def test_nobody_is_unloaded_for_the_budget(world: World) -> None:
    await use(world, A, B)
    world.launcher.of("/b").grant(900 * MB, 900 * MB)
    async with request(world, A):
        world.launcher.of("/a").need(7, 2000 * MB)
        await settle()
        assert world.launcher.of("/a").offered == [7]
    assert world.launcher.alive == ["/a", "/b"]


@scenario(kv_budget=parse_budget("1000MB"))
async def test_a_busy_model_is_waited_for_until_it_can_give(world: World) -> None:
    async with request(world, A):
        async with request(world, B):
            world.launcher.of("/b").grant(900 * MB, 900 * MB)
            world.launcher.of("/b").gives_up_waiting_only()
            world.launcher.of("/a").need(7, 500 * MB)
            await settle()
            assert world.launcher.of("/a").offered == []
            world.launcher.of("/b").is_idle_now()
        await settle()
        assert world.launcher.of("/a").offered == [7]
        assert world.launcher.of("/b").shrunk[-1] is ShrinkLevel.PREFIXES


GPU = DevicesFound([DeviceMemory(name="gpu", kind=DeviceKind.GPU, free_bytes=2000 * MB, total_bytes=2000 * MB)], [])


@scenario()
async def test_what_a_device_lacks_is_taken_from_those_who_have_some_of_it(world: World) -> None:
    world.launcher.found = GPU
    await use(world, A, B, C)
    first, cached, other = (world.launcher.of(path) for path in ("/a", "/b", "/c"))
    first.take("gpu", 500 * MB, 100 * MB)
    first.grant(100 * MB)  # so that half of its cache is there
    cached.take("gpu", 700 * MB, 300 * MB)
    other.grant(900 * MB)
    async with request(world, A):
        first.need(7, 600 * MB, "gpu")
        await settle()
        assert (first.offered, cached.shrunk, other.shrunk) == ([7], [ShrinkLevel.PREFIXES], [])
        assert world.launcher.alive == ["/a", "/b", "/c"]
        first.need(8, 800 * MB, "gpu")
        await settle()
        assert (first.offered, world.launcher.alive) == ([7, 8], ["/a", "/c"])
        assert other.shrunk == []
        first.need(9, 1 * MB, "gpu")
        await settle()
        assert (first.offered, world.launcher.alive) == ([7, 8, 9], ["/a", "/c"])
        assert world.scheduler.metrics.reclaims == {Source.IDLE_PREFIXES.value: 1, Source.IDLE_MODELS.value: 1}


@scenario(kv_headroom=parse_budget("1MB"))
async def test_what_lies_on_a_device_needs_no_host_memory(world: World) -> None:
    """Both models are on the device, of which the second one is known when it is asked for."""
    first = Catalog().find("smollm2:135m", allow_path=False)
    second = dataclasses.replace(first, weights=dataclasses.replace(first.weights, path=Path("/b"), digest="b"))
    unmapped = LoadOptions(maps_weights=False)
    world.launcher.found = GPU
    await use(world, first, also=unmapped)
    world.memory.free = first.weights_bytes  # where what is beside the weights has room
    async with request(world, first, also=unmapped):
        await use(world, second, also=unmapped)
        assert world.launcher.alive == sorted([str(first.path), "/b"])


@scenario()
async def test_what_the_host_lacks_is_not_on_a_device(world: World) -> None:
    world.launcher.found = GPU
    world.memory.free = 1000 * MB
    await use(world, A, B)
    world.launcher.of("/b").take("gpu", 0, 900 * MB)
    async with request(world, A):
        world.launcher.of("/a").need(7, 900 * MB)
        await settle()
        assert world.launcher.of("/b").shrunk == []


@scenario(kv_budget=parse_budget("1000MB"))
async def test_the_budget_is_short_of_caches_on_devices_too(world: World) -> None:
    await use(world, A, B)
    idle = world.launcher.of("/b")
    assert idle.ledger.claim(idle.order.ledger_entry, 0, None, device_bytes=900 * MB)
    async with request(world, A):
        world.launcher.of("/a").need(7, 800 * MB)
        await settle()
        assert idle.shrunk == [ShrinkLevel.PREFIXES]


async def _refuse(level: ShrinkLevel) -> None:
    """What a busy runner has is in use."""


@scenario(kv_budget=parse_budget("1000MB"))
async def test_of_two_that_wait_for_each_other_one_goes_on_first(world: World) -> None:
    async with request(world, A), request(world, B) as second:
        first_runner, second_runner = world.launcher.of("/a"), world.launcher.of("/b")
        for runner in (first_runner, second_runner):
            runner.grant(500 * MB, 500 * MB)
            runner.gives_up_waiting_only()
        first_runner.need(1, 500 * MB)
        await settle()
        assert first_runner.offered == []
        second_runner.need(2, 500 * MB)
        await settle()
        assert (first_runner.offered, second_runner.offered) == ([], [2])
        assert first_runner.shrunk[-1] is ShrinkLevel.WAITING
        second_runner.grant(500 * MB, 500 * MB)
        second_runner.is_idle_now()
        await second.end()
        assert first_runner.offered == [1]  # now that there is what it lost, too
        first_runner.grant(1000 * MB)


@scenario(kv_budget=parse_budget("1000MB"))
async def test_two_that_wait_for_each_other_and_have_nothing_to_give_are_told_so(world: World) -> None:
    async with request(world, A), request(world, B):
        for path in ("/a", "/b"):
            runner = world.launcher.of(path)
            runner.grant(500 * MB, 500 * MB)
            runner.shrink = _refuse  # type: ignore[method-assign]
        world.launcher.of("/a").need(1, 500 * MB)
        await settle()
        assert world.launcher.of("/a").offered == []
        world.launcher.of("/b").need(2, 500 * MB)
        await settle()
        assert world.launcher.of("/b").offered == [2]


@scenario(kv_wait_s=5, kv_budget=parse_budget("1000MB"))
async def test_the_wait_for_memory_has_an_end(world: World) -> None:
    async with request(world, A), request(world, B):
        runner = world.launcher.of("/b")
        runner.grant(1000 * MB, 1000 * MB)
        runner.shrink = _refuse  # type: ignore[method-assign]
        world.launcher.of("/a").need(1, 500 * MB)
        await asyncio.sleep(4)
        assert world.launcher.of("/a").offered == []
        await asyncio.sleep(2)
        assert world.launcher.of("/a").offered == [1]
