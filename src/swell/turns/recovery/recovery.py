"""Takes the recovery steps of one request until it can go on."""

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from swell.cache import CacheType
from swell.errors import SwellError
from swell.metrics.events import StepOutcome
from swell.metrics.observer import Metrics
from swell.metrics.request_record import current_request
from swell.models.model import Model
from swell.options import Options
from swell.scheduler.holds import ModelHolds
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.runner_key import RunnerRole
from swell.supervisor.causes import cause_of
from swell.supervisor.leased import LeasedRunner
from swell.turns.recovery.ladder import (
    PROGRESS_TOKENS,
    Attempt,
    RecoveryStep,
    Situation,
    back_off_s,
    is_suspect,
    next_recovery_step,
)
from swell.turns.recovery.quarantine import Quarantine
from swell.turns.request import TurnRequest

log = logging.getLogger(__name__)

T = TypeVar("T")

_arrivals = itertools.count()
_SMALLER = {CacheType.F16: CacheType.Q8_0, CacheType.Q8_0: CacheType.Q4_0}


class Models(Protocol):
    """The part of the scheduler that recovery uses."""

    holds: ModelHolds

    def lease(
        self,
        model: Model,
        keep_alive_s: float | None = None,
        options: Options = ...,
        also: LoadOptions = ...,
        role: RunnerRole = ...,
    ) -> AbstractAsyncContextManager[LeasedRunner]:
        """A runner with `model` in `role`, loaded as `options` and `also` want it."""

    def load_options_of(self, model: Model) -> LoadOptions | None:
        """How `model` is loaded; None if it isn't."""

    def count_idle(self, *, but: Model) -> int:
        """How many models nobody uses, not counting one."""

    def count_busy(self) -> int:
        """How many requests use some model."""

    async def evict_idle(self, *, but: Model) -> None:
        """Unload all models that nobody uses, except one; returns when they are gone."""

    async def wait_for_change(self) -> None:
        """Returns when a request has ended, or a model was loaded or unloaded, or after a time that is set."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """`attempts_max` steps are tried without progress; `is_cache_flexible`: the cache's type may be changed."""

    attempts_max: int
    is_cache_flexible: bool


class Recovery:
    """What one request does after failures.

    A runner that ends takes all its requests along, and any of them may be why. So a request that has seen two end
    goes on in quarantine, and only there it is given up for that.
    """

    def __init__(
        self, models: Models, request: TurnRequest, limits: Limits, quarantine: Quarantine, metrics: Metrics
    ) -> None:
        """Where what `request` consists of was convicted before, it begins in quarantine, and has one life.

        The files of its model stay until `end`.
        """
        self.taken: list[RecoveryStep] = []
        """All that was tried for this request."""
        self._models = models
        self._request = request
        self._model = request.model
        self._limits = limits
        self.record = current_request().begin_turn(metrics, request.model.name, request.model.key_digest)
        """What is noted of it."""
        self._quarantine = quarantine
        self._arrival = next(_arrivals)
        self._tried: list[Attempt] = []
        self._also = LoadOptions()
        self._role = RunnerRole.SHARED
        self._is_known = quarantine.knows(request.model, request.content)
        if self._is_known:
            self._limits = dataclasses.replace(limits, attempts_max=0)
        models.holds.hold(self, request.model)

    def end(self, generated: int = 0) -> None:
        """The request has ended, with so many tokens generated."""
        self._models.holds.release(self)
        self.record.end(generated)

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[LeasedRunner]:
        """A runner, as the request and what was tried for it want it."""
        self.record.begin()
        asked_ns = time.perf_counter_ns()
        async with contextlib.AsyncExitStack() as stack:
            self._role = RunnerRole.SHARED
            if self._is_known or is_suspect(self._tried, self._limits.attempts_max):
                self._role = await stack.enter_async_context(self._quarantine.turn(self._model, self._arrival))
                if self._role is RunnerRole.SHARED:  # another one was why
                    self._tried.clear()
            request = self._request
            lease = self._models.lease(self._model, request.keep_alive_s, request.options, self._also, self._role)
            runner = await stack.enter_async_context(lease)
            self.record.leased(asked_ns, runner.loading_ns)
            yield runner

    def leaves(self, generated: int) -> bool:
        """Whether a request in quarantine is cleared by so many tokens, and others wait to be: then it goes on among
        those that are not suspected.
        """
        if self._role is not RunnerRole.QUARANTINE or not self._quarantine.is_wanted(self._model):
            return False
        self._tried = [attempt for attempt in self._tried if not attempt.is_forgotten(generated)]
        if self._tried or (self._is_known and generated < PROGRESS_TOKENS):
            return False
        self._is_known = False
        return True

    async def after(self, error: SwellError, generated: int) -> RecoveryStep:
        """Take the next step after a failure with so many tokens generated; GIVE_UP if there is none.

        What was tried is forgotten after progress, with which the ladder begins again.
        """
        cause = cause_of(error)
        if cause is None:
            return RecoveryStep.GIVE_UP
        self._tried = [attempt for attempt in self._tried if not attempt.is_forgotten(generated)]
        tried = [attempt.step for attempt in self._tried]
        step = next_recovery_step(cause, tried, self._situation())
        if (
            step is RecoveryStep.GIVE_UP
            and cause.is_death
            and self._limits.attempts_max
            and self._role is RunnerRole.SHARED
        ):
            step = RecoveryStep.RELOAD  # somebody else may be why: it is given up alone or not at all
        log.warning("%s after %d tokens: %s. Next: %s", self._model.name, generated, error, step.value)
        self.record.recovers(step, cause)
        if step is RecoveryStep.GIVE_UP:
            self.record.recovered(StepOutcome.FAILED)
            if cause.is_death and self._role is RunnerRole.QUARANTINE:
                self._quarantine.convict(self._model, self._request.content)
            return step
        await asyncio.sleep(back_off_s(tried))
        self._tried.append(Attempt(step, cause, generated))
        self.taken.append(step)
        await self._take(step)
        return step

    def _situation(self) -> Situation:
        """While the request tries to go on it doesn't use its own model, which is no less wanted for that."""
        loaded = self._models.load_options_of(self._model) or LoadOptions()
        return Situation(
            idle_models=self._models.count_idle(but=self._model),
            busy_requests=self._models.count_busy(),
            has_other_placement=bool(loaded.device_layers),
            has_smaller_cache=self._limits.is_cache_flexible and loaded.cache_type in _SMALLER,
            attempts_max=self._limits.attempts_max,
        )

    async def _take(self, step: RecoveryStep) -> None:
        loaded = self._models.load_options_of(self._model) or LoadOptions()
        match step:
            case RecoveryStep.EVICT_IDLE:
                await self._models.evict_idle(but=self._model)
            case RecoveryStep.WAIT:
                await self._models.wait_for_change()
            case RecoveryStep.OTHER_PLACEMENT if loaded.device_layers:
                is_first = [attempt.step for attempt in self._tried].count(step) == 1
                self._also = dataclasses.replace(self._also, device_layers=loaded.device_layers // 2 if is_first else 0)
            case RecoveryStep.SMALLER_CACHE if loaded.cache_type in _SMALLER:
                self._also = dataclasses.replace(self._also, cache_type=_SMALLER[loaded.cache_type])


async def retried(recovery: Recovery, work: Callable[[LeasedRunner], Awaitable[T]]) -> T:
    """The result of `work` with a runner. After a failure that recovery has a step for, it is done again as a whole."""
    try:
        while True:
            try:
                async with recovery.lease() as runner:
                    result = await work(runner)
                recovery.record.recovered(StepOutcome.RESUMED)
                return result
            except SwellError as error:
                failure = error.with_traceback(None)  # which holds this frame, and so the whole request
            if await recovery.after(failure, 0) in (RecoveryStep.GIVE_UP, RecoveryStep.WINDOW_END):
                recovery.record.recovered(StepOutcome.FAILED)
                try:
                    raise failure
                finally:
                    del failure
    finally:
        recovery.end()
