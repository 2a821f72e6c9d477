"""Which models are loaded: loads them on demand, keeps them as long as they are wanted, makes room for others.

A model is known by its weights and adapters: two names of the same files share a runner. A second one, in quarantine,
is for a request that may have ended the first. What to do next is decided by `policy`; here it is done.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Collection, Coroutine
from pathlib import Path
from typing import Any

from swell.clock import Clock, SystemClock
from swell.errors import ServerStoppingError
from swell.memory.probe import FreeMemory, MemoryProbe
from swell.metrics.events import UnloadCause, WindowGrown, WindowShrunk
from swell.metrics.observer import Metrics
from swell.models.model import Model
from swell.options import Options
from swell.protocol.messages import CacheCount, GrantChanged, NeedMemory, ShrinkLevel
from swell.scheduler.accounts import RUNNERS_MAX, Accounts
from swell.scheduler.handover import Handover
from swell.scheduler.holds import ModelHolds
from swell.scheduler.load_options import LoadOptions, complete_load_options, requested_load_options
from swell.scheduler.loading import Launch, ModelLoader
from swell.scheduler.policy import Demand, Evict, LoadNow, SchedulerStep, ShrinkIdle, Wait, next_step
from swell.scheduler.queue import QueuedRequest, RequestQueue
from swell.scheduler.reclaiming import MemoryReclaimer
from swell.scheduler.residencies import Residencies
from swell.scheduler.residency import LoadedModel, Residency, State
from swell.scheduler.runner_key import RunnerKey, RunnerRole
from swell.settings import Settings
from swell.sizes.recent import RecentSizes
from swell.supervisor.runner import Runner

__all__ = ["Launch", "LoadedModel", "Scheduler"]

log = logging.getLogger(__name__)

MODELS_PER_DEVICE = 3
"""As in Ollama, where nothing else is set; the CPU counts as a device if there is no other."""
_NO_OPTIONS = Options()
_ANY_LOAD = LoadOptions()


class Scheduler:
    """Owns all runners. Used from the event loop only."""

    def __init__(
        self,
        settings: Settings,
        *,
        memory: FreeMemory | None = None,
        launch: Launch | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self.sizes = RecentSizes()
        """Of turns, for first grants that are learned. Who hears of turns adds to them."""
        self.holds = ModelHolds()
        self._settings = settings
        self._clock = clock or SystemClock()
        self._accounts = Accounts(settings, memory or MemoryProbe())
        self._residencies = Residencies(self._accounts)
        self._queue = RequestQueue(settings.max_queue)
        self._loader = ModelLoader(
            settings,
            self._accounts,
            self._residencies,
            launch or functools.partial(Runner.start, stuck_s=settings.stuck_s),
            self._clock,
            self.sizes,
        )
        self._reclaimer = MemoryReclaimer(self._accounts, self._residencies, self._queue, self.metrics)
        self._holders: set[asyncio.Task[Any] | None] = set()  # of leases, and who waits for one
        self._leaving: dict[Residency, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        automatic = MODELS_PER_DEVICE * max(1, len(settings.workers))
        self._models_max = min(settings.max_loaded_models or automatic, RUNNERS_MAX // 4)

    @contextlib.asynccontextmanager
    async def lease(
        self,
        model: Model,
        keep_alive_s: float | None = None,
        options: Options = _NO_OPTIONS,
        also: LoadOptions = _ANY_LOAD,
        role: RunnerRole = RunnerRole.SHARED,
    ) -> AsyncIterator[Runner]:
        """A runner with `model` loaded as `options` ask for and, before them, `also`; it stays loaded while inside.

        If it must be loaded first, the request waits for that, and for models that must make way. `keep_alive_s`
        replaces how long it stays afterwards; None leaves that as it is. Raises ServerBusyError when too many wait
        already, or the error that the load ended with.

        A runner in quarantine doesn't stay. That only one request at a time is in it, the caller sees to.

        One task holds at most one: AssertionError.
        """
        task = asyncio.current_task()
        assert task not in self._holders, "who holds one runner and waits for another one can block both for ever"
        self._holders.add(task)
        try:
            requested = also.completed(requested_load_options(options, model, self._loader.placer.devices))
            residency = await self._enter(model, RunnerKey(model.key, role), requested)
            residency.num_ctx = options.num_ctx
            if keep_alive_s is not None and role is RunnerRole.SHARED:
                residency.keep_alive_s = keep_alive_s
            try:
                yield await residency.runner()
            finally:
                residency.leave()
        finally:
            self._holders.discard(task)
            del task  # it holds its cancellation, which holds this frame

    async def unload(self, model: Model) -> None:
        """Unload `model` once its last request has ended; nothing happens if it isn't loaded."""
        self._expire_outdated(model)
        if residency := self._residencies.get(RunnerKey(model.key)):
            residency.expire(UnloadCause.ASKED)

    async def loaded(self) -> list[LoadedModel]:
        """All models whose runners are ready, the one that stays longest first."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._loader.measure(residency)) for residency in self._residencies]
        rows = [row for task in tasks if (row := task.result()) is not None]
        return sorted(rows, key=lambda row: row.expires_at, reverse=True)

    async def describe(self, *, with_prefixes: bool = False) -> list[LoadedModel]:
        """The same for who looks on often: by the books, and nothing is learnt from it."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(residency.describe(CacheCount.BOOKS, with_prefixes=with_prefixes))
                for residency in self._residencies
            ]
        return [row for task in tasks if (row := task.result()) is not None]

    def replicas(self) -> tuple[()]:
        """None: this is one machine."""
        return ()

    def spare_bytes(self) -> int:
        """What windows could be promised now, with what idle conversations hold left out."""
        return self._accounts.spare_bytes()

    def free_for_load_bytes(self) -> int:
        """What a model could take that is loaded now, beside those that are being loaded."""
        return self._accounts.free_for_load_bytes(self._residencies.coming_bytes())

    def count_queued(self) -> int:
        """How many requests wait for a model that must be loaded or is being loaded."""
        return len(self._queue) + self._residencies.count_joined()

    def load_options_of(self, model: Model) -> LoadOptions | None:
        """How `model` is loaded; None if it isn't."""
        residency = self._residencies.get(RunnerKey(model.key))
        return None if residency is None else residency.options

    def files_in_use(self) -> set[Path]:
        """The files that loaded models and requests in progress may need again. Safe to ask from any thread."""
        residencies = (*self._residencies, *list(self._residencies.leaving))
        return self.holds.files() | {path for residency in residencies for path in residency.model.paths}

    def retire(self, files: Collection[Path]) -> None:
        """Unload the models that use any of `files` once their last requests have ended."""
        for residency in self._residencies:
            if any(path in files for path in residency.model.paths):
                residency.expire(UnloadCause.REPLACED)

    def count_idle(self, *, but: Model) -> int:
        """How many models are loaded that nobody uses, not counting one."""
        return len(self._residencies.idle(but=but))

    def count_busy(self) -> int:
        """How many requests use some model."""
        return self._residencies.count_users()

    async def evict_idle(self, *, but: Model) -> None:
        """Unload all models that nobody uses, except one; returns when they are gone."""
        stopping = [residency.stop(UnloadCause.EVICTED) for residency in self._residencies.idle(but=but)]
        if stopping:
            await asyncio.wait(stopping)  # they end whether anybody waits for that or not

    async def wait_for_change(self) -> None:
        """Returns when a request has ended, or a model was loaded or unloaded, or after the time set for waiting."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.kv_wait_s):
                await self._queue.change()

    def check_integrity(self) -> list[str]:
        """What is wrong with the books, recounted: nothing, unless there is a bug. Costs about a millisecond."""
        faults = self._accounts.check_integrity(
            [residency.plan.books for residency in (*self._residencies, *self._residencies.leaving)]
        )
        if (users := self.count_busy()) > len(self._holders):
            faults.append(f"models count {users} requests, of {len(self._holders)}")
        if strangers := self._loader.handovers() - set(self._residencies):
            faults.append(f"{len(strangers)} handovers are for models that are gone")
        return faults

    def interrupt(self) -> None:
        """End everything that is being computed, because the server stops: ServerStoppingError."""
        for residency in self._residencies:
            residency.interrupt(ServerStoppingError())

    async def close(self) -> None:
        """End all runners, and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        for residency in self._residencies:
            residency.stop(UnloadCause.STOPPED)
        await asyncio.gather(*self._leaving.values(), *self._tasks, return_exceptions=True)  # however they end
        self._accounts.close()

    # --- requests on their way to a runner -----------------------------------------------------------------------

    async def _enter(self, model: Model, key: RunnerKey, requested: LoadOptions) -> Residency:
        """The residency that serves a request, which is in it from now on."""
        self._expire_outdated(model)
        residency = self._usable(key, requested)
        if residency is None or residency.state is State.LOADING:
            self._queue.admit(self._residencies.count_joined(), acts_at_once=residency is None)
        if residency is None:
            with self._queue.join() as place:
                residency = await self._get_loaded(place, model, key, requested)
        residency.enter()
        return residency

    def _expire_outdated(self, model: Model) -> None:
        """Nobody can ask any more for what a file was before it was replaced: its runner ends with its last request."""
        for residency in self._residencies.outdated(model):
            residency.expire(UnloadCause.REPLACED)

    def _usable(self, key: RunnerKey, requested: LoadOptions) -> Residency | None:
        residency = self._residencies.get(key)
        if residency is None or key == self._queue.closed or not requested.is_met_by(residency.options):
            return None
        return residency

    async def _get_loaded(
        self, place: QueuedRequest, model: Model, key: RunnerKey, requested: LoadOptions
    ) -> Residency:
        """Get `model` loaded at `key` as `requested`, step by step, each decided on what is true by then."""
        may_shrink = True
        with contextlib.ExitStack() as stack:
            handover: Handover | None = None
            while (residency := self._usable(key, requested)) is None:
                if not place.is_first:
                    await place.change()
                    continue
                options = complete_load_options(requested, self._settings)
                self._loader.check(model, options)
                match self._next_step(model, key, options, may_shrink=may_shrink):
                    case LoadNow():
                        residency = self._load(model, key, options)
                        if handover is not None:
                            self._loader.hand_over(residency, handover)
                            stack.pop_all()
                        return residency
                    case Evict(victim):
                        evicted = self._residencies[victim]
                        if victim == key:
                            requested = requested.completed(evicted.plan.options)  # what several ask for adds up
                            place.close(key)
                            options = complete_load_options(requested, self._settings)
                            if handover is None and await self._loader.may_hand_over(evicted, options):
                                handover = Handover()
                                stack.callback(handover.close)
                                await evicted.save_slots(handover.path)
                        if evicted.is_idle:
                            log.info("unloading %s to make room for %s", evicted.model.name, model.name)
                            evicted.stop(UnloadCause.REPLACED if victim == key else UnloadCause.EVICTED)
                    case ShrinkIdle():
                        may_shrink = False
                        await self._shrink_idle()
                    case Wait(closed):
                        place.close(closed)
                        await place.change()
            return residency

    def _next_step(self, model: Model, key: RunnerKey, options: LoadOptions, *, may_shrink: bool) -> SchedulerStep:
        demand = Demand(
            key=key,
            needed_bytes=self._loader.expected(model, options).total_bytes - self._shared_bytes(key, options),
            free_bytes=self._accounts.free_for_load_bytes(self._residencies.coming_bytes()),
            models_max=self._models_max,
            may_shrink=may_shrink,
        )
        return next_step(demand, self._residencies.states())

    def _shared_bytes(self, key: RunnerKey, options: LoadOptions) -> int:
        """Weights that a runner in quarantine has in common with the model's other one, where both map them."""
        other = self._residencies.get(RunnerKey(key.model)) if key.role is RunnerRole.QUARANTINE else None
        if other is None or not (options.maps_weights and other.plan.options.maps_weights):
            return 0
        return other.model.weights_bytes

    def _load(self, model: Model, key: RunnerKey, options: LoadOptions) -> Residency:
        residency = Residency(
            self._loader.plan(model, key, options),
            lambda residency: self._loader.start(residency, functools.partial(self._on_notice, residency)),
            keep_alive_s=self._settings.keep_alive_s if key.role is RunnerRole.SHARED else 0,
            clock=self._clock,
            on_change=self._on_change,
            metrics=self.metrics,
        )
        self._residencies.add(residency)
        return residency

    async def _shrink_idle(self) -> None:
        async with asyncio.TaskGroup() as group:
            for residency in self._residencies.idle():
                group.create_task(residency.shrink(ShrinkLevel.UNSTORED))

    # --- changes -------------------------------------------------------------------------------------------------

    def _on_change(self, residency: Residency) -> None:
        if residency.state is not State.LOADING:
            self._loader.close_handover(residency)
        if residency.state is State.STOPPED:
            self._loader.note_end(residency)
            self._residencies.begin_to_leave(residency)
            self._leaving[residency] = asyncio.create_task(self._leave(residency))
        elif residency.is_idle and not residency.is_measured:
            residency.is_measured = True  # once is enough: what comes and goes is the cache
            self._spawn(self._learn(residency))
        self._queue.notify()

    async def _leave(self, residency: Residency) -> None:
        await residency.stop()
        self._accounts.give_back(residency.plan.books)
        self._residencies.leaving.discard(residency)
        del self._leaving[residency]
        self._queue.notify()

    async def _learn(self, residency: Residency) -> None:
        await self._loader.measure(residency)

    def _on_notice(self, residency: Residency, runner: Runner, notice: NeedMemory | GrantChanged) -> None:
        if isinstance(notice, NeedMemory):
            self._spawn(self._reclaim(residency, runner, notice))
        else:
            self.metrics.report(_window_event(residency.model, notice))

    async def _reclaim(self, residency: Residency, runner: Runner, need: NeedMemory) -> None:
        """Find the memory that a generation lacks, then let it try again, whatever was found."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.kv_wait_s):
                    await self._reclaimer.make_room(residency, need)
        finally:
            runner.offer(need.id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(task := asyncio.create_task(work))
        task.add_done_callback(self._tasks.discard)


def _window_event(model: Model, grant: GrantChanged) -> WindowGrown | WindowShrunk:
    if grant.to_tokens > grant.from_tokens:
        return WindowGrown(
            model=model.name,
            slot=grant.slot,
            from_tokens=grant.from_tokens,
            to_tokens=grant.to_tokens,
            granted_bytes=grant.granted_bytes,
            store=grant.store.value,
            stall_s=grant.stall_ns / 1e9,
        )
    return WindowShrunk(
        model=model.name,
        slot=grant.slot,
        from_tokens=grant.from_tokens,
        to_tokens=grant.to_tokens,
        granted_bytes=grant.granted_bytes,
        store=grant.store.value,
        stall_s=grant.stall_ns / 1e9,
        cause=grant.cause,
    )
