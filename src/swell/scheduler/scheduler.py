"""Which models are loaded: loads them on demand, keeps them as long as they are wanted, makes room for others.

A model is known here by its weights' path: two names of one file share a runner. A second one, in quarantine, is for a
request that may have ended the first. What to do next is decided by `scheduling.policy`; here it is done.
"""

import asyncio
import contextlib
import functools
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from swell.clock import Clock, SystemClock
from swell.errors import DevicesFullError, ServerBusyError, ServerStoppingError, SwellError
from swell.memory.probe import FreeMemory, MemoryProbe
from swell.models.model import Model
from swell.options import Options
from swell.protocol.messages import Load, NeedMemory, ShrinkLevel
from swell.scheduler.accounts import RUNNERS_MAX, Accounts
from swell.scheduler.crashes import LoadCrashes
from swell.scheduler.estimate import MemoryEstimator
from swell.scheduler.handover import Handover
from swell.scheduler.load_options import LoadOptions, requested_load_options
from swell.scheduler.order import complete_load_options, footprint, load_order
from swell.scheduler.placement.placer import Placer
from swell.scheduler.policy import (
    Demand,
    Evict,
    LoadNow,
    RunnerState,
    SchedulerStep,
    ShrinkIdle,
    Wait,
    is_shortage,
    least_recent,
    may_queue,
    next_step,
)
from swell.scheduler.reclaiming import MemoryReclaimer, Source
from swell.scheduler.residency import LoadedModel, LoadPlan, Residency, State
from swell.scheduler.ward import RunnerKey, Ward
from swell.settings import Settings
from swell.supervisor.runner import OnNeed, PlaceLayers, Runner

__all__ = ["Launch", "LoadedModel", "Scheduler"]

log = logging.getLogger(__name__)

MODELS_PER_DEVICE = 3
"""As in Ollama, where nothing else is set; the CPU counts as a device if there is no other."""
_NO_OPTIONS = Options()
_NO_WISH = LoadOptions()

Launch = Callable[[Load, float, OnNeed, PlaceLayers], Awaitable[Runner]]
"""Starts a runner: with this order, within so many seconds, telling so when it needs memory, asking what goes where."""


class Scheduler:
    """Owns all runners. Used from the event loop only."""

    def __init__(
        self,
        settings: Settings,
        *,
        memory: FreeMemory | None = None,
        launch: Launch | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._launch = launch or functools.partial(Runner.start, stuck_s=settings.stuck_s)
        self._clock = clock or SystemClock()
        self._accounts = Accounts(settings, memory or MemoryProbe())
        self._experience = MemoryEstimator()
        self._crashes = LoadCrashes(self._clock)
        self._residencies: dict[RunnerKey, Residency] = {}
        self._handovers: dict[Residency, Handover] = {}
        self._leaving: dict[Residency, asyncio.Task[None]] = {}
        self._line: list[object] = []
        self._holders: set[asyncio.Task[Any] | None] = set()  # of leases, and who waits for one
        self._closed: RunnerKey | None = None  # to newcomers: the first in line waits until this one is idle
        self._changed = asyncio.Event()
        self._relief = MemoryReclaimer(self._accounts, self._residencies.values, lambda: self._changed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._placer = Placer(settings)
        automatic = MODELS_PER_DEVICE * max(1, len(settings.workers))
        self._models_max = min(settings.max_loaded_models or automatic, RUNNERS_MAX // 4)

    @contextlib.asynccontextmanager
    async def lease(
        self,
        model: Model,
        keep_alive_s: float | None = None,
        options: Options = _NO_OPTIONS,
        also: LoadOptions = _NO_WISH,
        ward: Ward = Ward.COMMON,
    ) -> AsyncIterator[Runner]:
        """A runner with `model` as `options` and, before them, `also` want it loaded, and kept loaded while inside.

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
            wish = also.completed(requested_load_options(options, model, self._placer.devices))
            residency = await self._enter(model, RunnerKey(model.path, ward), wish)
            residency.num_ctx = options.num_ctx
            if keep_alive_s is not None and ward is Ward.COMMON:
                residency.keep_alive_s = keep_alive_s
            try:
                yield await residency.runner()
            finally:
                residency.leave()
        finally:
            self._holders.discard(task)

    async def unload(self, model: Model) -> None:
        """Unload `model` once its last request has ended; fine if it isn't loaded."""
        if residency := self._residencies.get(RunnerKey(model.path)):
            residency.expire()

    async def loaded(self) -> list[LoadedModel]:
        """All models whose runners are ready, the one that stays longest first."""
        rows = await asyncio.gather(*(self._measure(residency) for residency in self._residencies.values()))
        return sorted((row for row in rows if row is not None), key=lambda row: row.expires_at, reverse=True)

    def load_options_of(self, model: Model) -> LoadOptions | None:
        """How `model` is loaded; None if it isn't."""
        residency = self._residencies.get(RunnerKey(model.path))
        return None if residency is None else residency.fit

    @property
    def relieved(self) -> Counter[Source]:
        """Whose memory was given to models in need, and how often."""
        return self._relief.taken

    def count_idle(self, *, but: Model) -> int:
        """How many models are loaded that nobody uses, not counting one."""
        return len(self._idle(but))

    def count_busy(self) -> int:
        """How many requests use some model."""
        return sum(residency.users for residency in self._residencies.values())

    async def evict_idle(self, *, but: Model) -> None:
        """Unload all models that nobody uses, except one; returns when they are gone."""
        await asyncio.gather(*(asyncio.shield(residency.stop()) for residency in self._idle(but)))

    def _idle(self, but: Model) -> list[Residency]:
        return [one for one in self._residencies.values() if one.is_idle and one.model.path != but.path]

    async def wait_for_change(self) -> None:
        """Returns when a request has ended, or a model was loaded or unloaded, or after the time set for waiting."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.kv_wait_s):
                await self._changed.wait()

    def check_integrity(self) -> list[str]:
        """What is wrong with the books, recounted: nothing, unless there is a bug. Costs about a millisecond."""
        stays = [residency.stay for residency in (*self._residencies.values(), *self._leaving)]
        faults = self._accounts.check_integrity([stay.share for stay in stays])
        if (users := self.count_busy()) > len(self._holders):
            faults.append(f"models count {users} requests, of {len(self._holders)}")
        if strangers := self._handovers.keys() - self._residencies.values():
            faults.append(f"{len(strangers)} handovers are for models that are gone")
        return faults

    def interrupt(self) -> None:
        """End everything that is being computed, because the server stops: ServerStoppingError."""
        for residency in self._residencies.values():
            residency.interrupt(ServerStoppingError())

    async def close(self) -> None:
        """End all runners, and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        for residency in list(self._residencies.values()):
            residency.stop()
        await asyncio.gather(*self._leaving.values(), *self._tasks, return_exceptions=True)
        self._accounts.close()

    # --- requests on their way to a runner -----------------------------------------------------------------------

    async def _enter(self, model: Model, key: RunnerKey, wish: LoadOptions) -> Residency:
        """The residency that serves a request, which is in it from now on."""
        residency = self._usable(key, wish)
        if residency is None or residency.state is State.LOADING:
            is_first = residency is None and not self._line
            if not may_queue(self._waiting(), self._settings.max_queue, is_first=is_first):
                raise ServerBusyError
        if residency is None:
            residency = await self._wait_in_line(model, key, wish)
        residency.enter()
        return residency

    def _usable(self, key: RunnerKey, wish: LoadOptions) -> Residency | None:
        residency = self._residencies.get(key)
        if residency is None or key == self._closed or not wish.is_met_by(residency.fit):
            return None
        return residency

    def _waiting(self) -> int:
        """Requests that wait: in line behind the first, and for a load that another one began."""
        joined = sum(one.users - 1 for one in self._residencies.values() if one.state is State.LOADING and one.users)
        return joined + max(0, len(self._line) - 1)

    async def _wait_in_line(self, model: Model, key: RunnerKey, wish: LoadOptions) -> Residency:
        """Get `model` loaded at `key` as `wish` says. Only the first in line acts, the others wait for changes."""
        ticket = object()
        self._line.append(ticket)
        may_shrink = True
        handover: Handover | None = None
        try:
            while (residency := self._usable(key, wish)) is None:
                if self._line[0] is not ticket:
                    await self._changed.wait()
                    continue
                self._crashes.check(model, complete_load_options(wish, self._settings))
                match self._next_step(model, key, wish, may_shrink=may_shrink):
                    case LoadNow():
                        residency = self._load(model, key, wish)
                        if handover is not None:
                            self._handovers[residency], handover = handover, None
                        return residency
                    case Evict(victim):
                        evicted = self._residencies[victim]
                        if victim == key:
                            wish = wish.completed(evicted.stay.fit)  # so that wishes that differ add up
                            self._closed = key
                            if handover is None and await self._may_hand_over(evicted, wish):
                                handover = Handover()
                                await evicted.save_slots(handover.path)
                        if evicted.is_idle:
                            log.info("unloading %s to make room for %s", evicted.model.name, model.name)
                            evicted.stop()
                    case ShrinkIdle():
                        may_shrink = False
                        await self._shrink_idle()
                    case Wait(closed):
                        self._closed = closed
                        await self._changed.wait()
            return residency
        finally:
            if handover is not None:
                handover.close()
            if self._line[0] is ticket:
                self._closed = None
            self._line.remove(ticket)
            self._notify()

    def _next_step(self, model: Model, key: RunnerKey, wish: LoadOptions, *, may_shrink: bool) -> SchedulerStep:
        fit = complete_load_options(wish, self._settings)
        expected = self._experience.correct(model.path, footprint(model, fit, self._settings))
        loading = [residency.stay for residency in self._residencies.values() if residency.state is State.LOADING]
        loading_bytes = sum(
            max(0, stay.footprint.total_bytes - self._accounts.booked_bytes(stay.share)) for stay in loading
        )
        demand = Demand(
            key=key,
            needed_bytes=expected.total_bytes - self._shared_bytes(key, fit),
            free_bytes=self._accounts.free_for_load_bytes(loading_bytes),
            models_max=self._models_max,
            may_shrink=may_shrink,
        )
        return next_step(demand, self._residents())

    def _shared_bytes(self, key: RunnerKey, fit: LoadOptions) -> int:
        """Weights that a runner in quarantine has in common with the model's other one, where both map them."""
        other = self._residencies.get(RunnerKey(key.path)) if key.ward is Ward.QUARANTINE else None
        are_shared = other is not None and fit.maps_weights and other.stay.fit.maps_weights
        return other.stay.footprint.weights_bytes if other is not None and are_shared else 0

    def _residents(self) -> list[RunnerState]:
        staying = [
            RunnerState(
                key=key,
                users=residency.users,
                last_use=residency.last_use,
                unstored_bytes=self._accounts.entry(residency.stay.share).unused_bytes,
            )
            for key, residency in self._residencies.items()
        ]
        return staying + [
            RunnerState(key=residency.stay.key, users=0, last_use=residency.last_use, is_leaving=True)
            for residency in self._leaving
        ]

    # --- loading -------------------------------------------------------------------------------------------------

    def _load(self, model: Model, key: RunnerKey, wish: LoadOptions) -> Residency:
        fit = complete_load_options(wish, self._settings)
        expected = self._experience.correct(model.path, footprint(model, fit, self._settings))
        log.info("loading %s, which may take %d MB", model.name, expected.total_bytes // 1_000_000)
        residency = self._residencies[key] = Residency(
            LoadPlan(model=model, key=key, fit=fit, share=self._accounts.open(), footprint=expected),
            self._start,
            keep_alive_s=self._settings.keep_alive_s if key.ward is Ward.COMMON else 0,
            clock=self._clock,
            on_change=self._on_change,
        )
        return residency

    async def _may_hand_over(self, residency: Residency, wish: LoadOptions) -> bool:
        """Whether a model's next runner can use the cells of this one, and there is room for them meanwhile."""
        row = await self._measure(residency)
        is_same = residency.stay.fit.cache_type == complete_load_options(wish, self._settings).cache_type
        if row is None or row.stats is None or not is_same:
            return False
        return 0 < row.stats.kv_resident_bytes < self._accounts.spare_bytes() // 2

    async def _start(self, residency: Residency) -> Runner:
        """Start the runner; while memory is what that fails for, with less of the devices or without an idle model."""
        stay = residency.stay
        order = load_order(
            stay.model, stay.key.ward, stay.fit, self._settings, stay.share, self._handovers.get(residency)
        )
        on_need = functools.partial(self._on_need, residency)
        placing = self._placer.place(stay.model, order, stay.fit, self._held_by_idle)
        while True:
            try:
                runner = await self._launch(order, self._settings.load_timeout_s, on_need, placing.decide)
                self._crashes.note_loaded(stay.model, stay.fit)
                residency.placed = placing.compare(runner.facts.devices)
                return runner
            except SwellError as error:
                self._accounts.clear(stay.share)
                self._crashes.note(stay.model, stay.fit, error)
                if placing.retreats(error):
                    continue
                evicted = self._victim(error)
                if evicted is None:
                    raise
                log.warning("%s; unloading %s and trying again", error, evicted.model.name)
                await asyncio.shield(evicted.stop())

    def _victim(self, error: SwellError) -> Residency | None:
        """Who should make way after a load that ended with `error`; None if that would not help."""
        idle = [one for one in self._residents() if one.is_idle]
        if isinstance(error, DevicesFullError):
            idle = [one for one in idle if self._residencies[one.key].device_bytes]
        elif not is_shortage(error):
            return None
        victim = least_recent(idle)
        return self._residencies[victim.key] if victim else None

    def _held_by_idle(self) -> dict[str, int]:
        """What idle models have on each device."""
        held = Counter[str]()
        for residency in self._residencies.values():
            if residency.is_idle:
                held.update(residency.device_bytes)
        return held

    async def _shrink_idle(self) -> None:
        idle = [residency for residency in self._residencies.values() if residency.is_idle]
        await asyncio.gather(*(residency.shrink(ShrinkLevel.UNSTORED) for residency in idle))

    # --- changes -------------------------------------------------------------------------------------------------

    def _on_change(self, residency: Residency) -> None:
        if residency.state is not State.LOADING and (handover := self._handovers.pop(residency, None)) is not None:
            handover.close()
        if residency.state is State.STOPPED:
            del self._residencies[residency.stay.key]
            self._leaving[residency] = asyncio.create_task(self._leave(residency))
        elif residency.is_idle and not residency.is_measured:
            residency.is_measured = True  # once is enough: what comes and goes is the cache
            self._spawn(self._learn(residency))
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _leave(self, residency: Residency) -> None:
        await residency.stop()
        self._accounts.give_back(residency.stay.share)
        del self._leaving[residency]
        self._notify()

    async def _learn(self, residency: Residency) -> None:
        await self._measure(residency)

    async def _measure(self, residency: Residency) -> LoadedModel | None:
        """A row of `ps`, from which later estimates learn."""
        row = await residency.describe()
        if row is not None and row.stats is not None:
            self._experience.note(residency.model.path, residency.stay.footprint, row.stats.other_bytes)
        return row

    def _on_need(self, residency: Residency, runner: Runner, need: NeedMemory) -> None:
        self._spawn(self._relieve(residency, runner, need))

    async def _relieve(self, residency: Residency, runner: Runner, need: NeedMemory) -> None:
        """Find the memory that a generation lacks, then let it try again, whatever was found."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.kv_wait_s):
                    await self._relief.make_room(residency, need)
        finally:
            runner.offer(need.id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(task := asyncio.create_task(work))
        task.add_done_callback(self._tasks.discard)
