"""One model's time in memory: loading, ready, stopped; who uses it, and until when it stays."""

import asyncio
import contextlib
import copy
import dataclasses
import itertools
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from swell.clock import Clock, Timer
from swell.durations import FOREVER_S
from swell.errors import RunnerError, RunnerLostError, SwellError
from swell.metrics.events import LoadEnded, LoadOutcome, LoadStarted, ModelUnloaded, UnloadCause
from swell.metrics.observer import Metrics
from swell.models.model import Model
from swell.protocol.messages import CacheCount, Loaded, Prefixes, ShrinkLevel, Stats
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.load_plan import LoadPlan
from swell.supervisor.runner import Runner

log = logging.getLogger(__name__)

STATS_LIMIT_S = 0.25
"""How long `ps` waits for a runner's numbers; it answers in about a millisecond unless the machine is overloaded."""
SHRINK_LIMIT_S = 5.0
"""How long to wait until a runner has shrunk; one that computes answers after its batch."""
KEEP_LIMIT_S = 30.0
"""How long a runner that ends may write its conversations to the prefix cache; a slow disk writes 3 GB in that."""
_FOREVER = timedelta(days=292 * 365)  # the end of Go's durations, which clients show as "Forever"
_uses = itertools.count(1)


class State(Enum):
    LOADING = "loading"
    READY = "ready"
    STOPPED = "stopped"  # unloaded, failed to load, or its runner is gone


_NEXT = {
    State.LOADING: {State.READY, State.STOPPED},
    State.READY: {State.STOPPED},
    State.STOPPED: set[State](),
}


@dataclasses.dataclass(frozen=True)
class ReplicaPlace:
    """Where in a fleet something is: a replica's name, and the node that it is on."""

    replica: str
    node: str


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A loaded model at this moment; `stats` is None when its runner didn't answer in time, `num_ctx` when the latest
    request left its ceiling to the settings. `users` requests are in it or wait for a slot. In a fleet it is at a
    `place`.
    """

    model: Model
    facts: Loaded
    stats: Stats | None
    expires_at: datetime
    num_ctx: int | None
    users: int = 0
    prefixes: Prefixes | None = None
    """What its slots hold, if that was asked for and its runner answered in time."""
    place: ReplicaPlace | None = None


class Residency:
    """Starts a runner when made; ends it when it was unused for `keep_alive_s`.

    `on_change` is called for every new state, and at the end of every request.
    """

    def __init__(
        self,
        plan: LoadPlan,
        launch: Callable[["Residency"], Awaitable[Runner]],
        *,
        keep_alive_s: float,
        clock: Clock,
        on_change: Callable[["Residency"], None],
        metrics: Metrics,
    ) -> None:
        self.plan = plan
        self.model = plan.model
        self.keep_alive_s = keep_alive_s
        self.num_ctx: int | None = None
        """What the latest request asked for."""
        self.state = State.LOADING
        self.users = 0
        self.last_use = next(_uses)
        self.waiting_for_memory = 0
        """How many requests wait for memory that other models have."""
        self.placed = LoadOptions()
        """What the planner chose, once it has."""
        self.loss: RunnerLostError | None = None
        """What became of its runner, if that was lost before it had answered anything."""
        self.is_measured = False
        """Whether it is known what the model really takes."""
        self._on_change = on_change
        self._metrics = metrics
        self._cause = UnloadCause.EXPIRED
        self._error = ""
        self._state_since_s = time.monotonic()
        self._clock = clock
        self._timer: Timer | None = None
        self._expires_at: datetime | None = None
        self._runner: Runner | None = None
        metrics.report(LoadStarted(model=plan.model.name))
        self._loading = asyncio.create_task(self._load(launch), name=f"load {self.model.name}")
        self._stopping: asyncio.Task[None] | None = None

    async def runner(self) -> Runner:
        """The runner, once it is ready; raises the error that loading ended with."""
        try:
            return await asyncio.shield(self._loading)
        except SwellError as error:
            raise copy.copy(error) from error  # several wait: the error of all would keep the frames of each

    @property
    def options(self) -> LoadOptions:
        """How the model is loaded: as was asked for, and where nothing was, as the planner chose."""
        return self.plan.options.completed(self.placed)

    @property
    def device_bytes(self) -> dict[str, int]:
        """What it took on each device when it was loaded."""
        return {use.name: use.used_bytes for use in self._runner.facts.devices} if self._runner else {}

    @property
    def is_idle(self) -> bool:
        """Whether it is loaded and nobody uses it."""
        return self.state is State.READY and self.users == 0

    def enter(self) -> None:
        """A request begins to use the model: it stays until `leave`."""
        self.users += 1
        self.last_use = next(_uses)
        self._cancel_timer()

    def leave(self) -> None:
        """A request has ended; the last one starts the time to live, or ends a load that nobody waits for."""
        self.users -= 1
        self.last_use = next(_uses)
        if self.users == 0:
            self._expires_at = self._expiry()
            self._expire_if_unused()
        if self.state is State.READY:
            self._on_change(self)

    def expire(self, cause: UnloadCause) -> None:
        """Stop as soon as no request uses the model, for `cause`."""
        self.keep_alive_s = 0
        self._cause = cause
        self._expires_at = self._clock.now()
        self._expire_if_unused()

    def stop(self, cause: UnloadCause | None = None) -> asyncio.Task[None]:
        """Begin to end the runner, for `cause` or what was said before; the task is done when it has ended."""
        if self._stopping is None:
            self._cause = cause or self._cause
            self._stopping = asyncio.create_task(self._stop(), name=f"stop {self.model.name}")
            if self.state is not State.STOPPED:
                self._become(State.STOPPED)
        return self._stopping

    async def describe(
        self, count: CacheCount = CacheCount.PAGES, *, with_prefixes: bool = False
    ) -> LoadedModel | None:
        """What `ps` shows of the model; None unless its runner is ready."""
        if self._runner is None or self.state is not State.READY:
            return None
        stats = prefixes = None
        with contextlib.suppress(TimeoutError, RunnerError):
            async with asyncio.timeout(STATS_LIMIT_S):
                stats = await self._runner.stats(count)
                prefixes = await self._runner.prefixes() if with_prefixes else None
        return LoadedModel(
            self.model,
            self._runner.facts,
            stats,
            self._expires_at or self._expiry(),
            self.num_ctx,
            users=self.users,
            prefixes=prefixes,
        )

    async def save_slots(self, path: Path) -> None:
        """Have the runner leave its cells in the file at `path`, if it can do so in time."""
        if self._runner is not None and self.state is State.READY:
            with contextlib.suppress(TimeoutError, RunnerError):
                async with asyncio.timeout(SHRINK_LIMIT_S):
                    await self._runner.save_slots(path)

    def interrupt(self, error: SwellError) -> None:
        """End what the runner is computing with `error`."""
        if self._runner is not None:
            self._runner.interrupt(error)

    async def shrink(self, level: ShrinkLevel) -> None:
        """Have the runner give memory back; returns when it has, or is gone, or takes too long."""
        if self._runner is not None and self.state is State.READY:
            with contextlib.suppress(TimeoutError, RunnerError):
                async with asyncio.timeout(SHRINK_LIMIT_S):
                    await self._runner.shrink(level)

    def _expire_if_unused(self) -> None:
        """Stop now or set the timer, as `keep_alive_s` says, unless a request uses the model."""
        if self.users or self.state is State.STOPPED:
            return
        self._cancel_timer()
        if self.keep_alive_s == 0 or self.state is State.LOADING:
            self.stop()
        elif self.keep_alive_s != FOREVER_S:
            self._timer = self._clock.call_later(self.keep_alive_s, self.stop)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expiry(self) -> datetime:
        forever = self.keep_alive_s == FOREVER_S
        return self._clock.now() + (_FOREVER if forever else timedelta(seconds=self.keep_alive_s))

    def _become(self, state: State) -> None:
        if state not in _NEXT[self.state]:
            raise AssertionError(f"{self.model.name}: {self.state} → {state}")
        self._report_end_of(self.state, state)
        self.state = state
        if state is State.STOPPED:
            self._cancel_timer()
        self._on_change(self)

    def _report_end_of(self, state: State, following: State) -> None:
        now_s = time.monotonic()
        lasted_s, self._state_since_s = now_s - self._state_since_s, now_s
        if state is State.READY:
            self._metrics.report(ModelUnloaded(model=self.model.name, cause=self._cause, loaded_s=lasted_s))
            return
        outcome = LoadOutcome.FAILED if self._error else LoadOutcome.CANCELLED
        if following is State.READY:
            outcome = LoadOutcome.LOADED
        self._metrics.report(LoadEnded(model=self.model.name, outcome=outcome, load_s=lasted_s, error=self._error))

    async def _load(self, launch: Callable[["Residency"], Awaitable[Runner]]) -> Runner:
        try:
            runner = await launch(self)
        except BaseException as error:
            if self.state is State.LOADING:
                self._error = type(error).__name__ if isinstance(error, Exception) else ""
                self._become(State.STOPPED)
            raise
        self._runner = runner
        self._become(State.READY)
        self._watching = asyncio.create_task(self._watch(runner), name=f"watch {self.model.name}")
        return runner

    async def _watch(self, runner: Runner) -> None:
        await runner.lost.wait()
        if self.state is State.READY:
            log.error("the runner of %s (process %d) was lost", self.model.name, runner.process_id)
            self.loss = None if runner.has_answered else runner.loss
            self._cause = UnloadCause.LOST
            self._become(State.STOPPED)

    async def _stop(self) -> None:
        self._loading.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._loading
        if self._runner is not None:
            if self._runner.facts.has_prefix_cache:
                with contextlib.suppress(TimeoutError, RunnerError):
                    async with asyncio.timeout(KEEP_LIMIT_S):
                        await self._runner.keep_prefixes()
            await self._runner.stop()
            await self._watching
