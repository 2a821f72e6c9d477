"""One model's stay in memory: loading, ready, stopped; who uses it, and until when it stays."""

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum

from swell.durations import FOREVER_S
from swell.errors import RunnerError
from swell.protocol.messages import Load, Loaded, Stats
from swell.server.models.model import Model
from swell.server.runner import Runner

log = logging.getLogger(__name__)

STATS_LIMIT_S = 0.25
"""How long `ps` waits for a runner's numbers; it answers in about a millisecond unless the machine is overloaded."""
_FOREVER = timedelta(days=292 * 365)  # the end of Go's durations, which clients show as "Forever"


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
class LoadedModel:
    """A loaded model at this moment; `stats` is None when its runner didn't answer in time."""

    model: Model
    facts: Loaded
    stats: Stats | None
    expires_at: datetime


class Residency:
    """Starts a runner when made; ends it when it was unused for `keep_alive_s`, and reports that to `on_stopped`."""

    def __init__(
        self,
        model: Model,
        load: Load,
        *,
        load_timeout_s: float,
        keep_alive_s: float,
        on_stopped: Callable[["Residency"], None],
    ) -> None:
        self.model = model
        self.ledger_entry = load.ledger_entry
        self.keep_alive_s = keep_alive_s
        self.state = State.LOADING
        self._on_stopped = on_stopped
        self._users = 0
        self._timer: asyncio.TimerHandle | None = None
        self._expires_at: datetime | None = None
        self._runner: Runner | None = None
        self._loading = asyncio.create_task(self._load(load, load_timeout_s), name=f"load {model.name}")
        self._stopping: asyncio.Task[None] | None = None

    async def runner(self) -> Runner:
        """The runner, once it is ready; raises the error that loading ended with."""
        return await asyncio.shield(self._loading)

    def enter(self) -> None:
        """A request begins to use the model: it stays until `leave`."""
        self._users += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def leave(self) -> None:
        """A request has ended; the last one starts the time to live, or ends a load that nobody waits for."""
        self._users -= 1
        if self._users == 0:
            self._expires_at = self._expiry()
            self.expire_if_unused()

    def expire_if_unused(self) -> None:
        """Stop now or set the timer, as `keep_alive_s` says, unless a request uses the model."""
        if self._users or self.state is State.STOPPED:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self.keep_alive_s == 0 or self.state is State.LOADING:
            self.stop()
        elif self.keep_alive_s != FOREVER_S:
            self._timer = asyncio.get_running_loop().call_later(self.keep_alive_s, self.stop)

    def stop(self) -> asyncio.Task[None]:
        """Begin to end the runner; the task is done when it has ended."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop(), name=f"stop {self.model.name}")
            if self.state is not State.STOPPED:
                self._become(State.STOPPED)
        return self._stopping

    async def describe(self) -> LoadedModel | None:
        """A row of `ps`; None while there is nothing to describe."""
        if self._runner is None or self.state is not State.READY:
            return None
        stats = None
        with contextlib.suppress(TimeoutError, RunnerError):
            async with asyncio.timeout(STATS_LIMIT_S):
                stats = await self._runner.stats()
        return LoadedModel(self.model, self._runner.facts, stats, self._expires_at or self._expiry())

    def _expiry(self) -> datetime:
        forever = self.keep_alive_s == FOREVER_S
        return datetime.now(UTC).astimezone() + (_FOREVER if forever else timedelta(seconds=self.keep_alive_s))

    def _become(self, state: State) -> None:
        if state not in _NEXT[self.state]:
            raise AssertionError(f"{self.model.name}: {self.state} → {state}")
        self.state = state
        if state is State.STOPPED:
            if self._timer is not None:
                self._timer.cancel()
            self._on_stopped(self)

    async def _load(self, load: Load, timeout_s: float) -> Runner:
        try:
            runner = await Runner.start(load, timeout_s)
        except BaseException:
            if self.state is State.LOADING:
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
            self._become(State.STOPPED)

    async def _stop(self) -> None:
        self._loading.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self._loading
        if self._runner is not None:
            await self._runner.stop()
            await self._watching
