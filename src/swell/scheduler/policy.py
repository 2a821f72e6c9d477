"""Who is loaded, who makes way, who waits. Pure functions over numbers: no clock, no memory probe, no process."""

import dataclasses
import signal
from collections.abc import Collection

from swell.errors import ContextError, LoadDiedError, SwellError
from swell.scheduler.runner_key import RunnerKey


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunnerState:
    """A runner that is there, being started, or leaving. `last_use` is larger the later it was used.

    `unstored_bytes` are promised to its cache but hold no token, so that giving them back costs nothing.
    """

    key: RunnerKey
    users: int
    last_use: int
    is_leaving: bool = False
    unstored_bytes: int = 0

    @property
    def is_idle(self) -> bool:
        return self.users == 0 and not self.is_leaving


@dataclasses.dataclass(frozen=True)
class LoadNow:
    """Load it now: there is room."""


@dataclasses.dataclass(frozen=True)
class ShrinkIdle:
    """Have idle models give back what holds no tokens: that makes enough room."""


@dataclasses.dataclass(frozen=True)
class Evict:
    """Unload `key`, which is idle, and ask again."""

    key: RunnerKey


@dataclasses.dataclass(frozen=True)
class Wait:
    """Ask again when something has changed. `closed` takes no new requests until then, so that it becomes idle; None
    where what is waited for comes by itself.
    """

    closed: RunnerKey | None


SchedulerStep = LoadNow | ShrinkIdle | Evict | Wait


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demand:
    """A model that is to be loaded: what it needs, what there is for it, and how many models there may be.

    `may_shrink` is false once the idle ones have shrunk for it.
    """

    key: RunnerKey
    needed_bytes: int
    free_bytes: int
    models_max: int
    may_shrink: bool = True


def next_step(demand: Demand, runners: Collection[RunnerState]) -> SchedulerStep:
    """What brings `demand` nearer to being loaded.

    A runner of the same key is there only if it doesn't fit the request; it goes first. The only model is always
    tried, whatever the estimate says. Evictions follow use; requests that run are never ended for one. Both runners of
    a model count as one model.
    """
    if own := next((runner for runner in runners if runner.key == demand.key), None):
        return Evict(own.key) if own.is_idle else Wait(None if own.is_leaving else own.key)
    if not runners:
        return LoadNow()
    is_crowded = len({runner.key.model for runner in runners} - {demand.key.model}) >= demand.models_max
    missing_bytes = demand.needed_bytes - demand.free_bytes
    if not is_crowded and missing_bytes <= 0:
        return LoadNow()
    if any(runner.is_leaving for runner in runners):
        return Wait(None)
    idle = [runner for runner in runners if runner.is_idle]
    if not is_crowded and demand.may_shrink and 0 < missing_bytes <= sum(one.unstored_bytes for one in idle):
        return ShrinkIdle()
    victim = least_recent(idle)
    if victim is not None:
        return Evict(victim.key)
    quietest = least_recent(runners)
    return Wait(quietest.key if quietest else None)


def least_recent(runners: Collection[RunnerState]) -> RunnerState | None:
    """The runner that was unused longest; None if there is none."""
    return min(runners, key=lambda runner: (runner.last_use, runner.key.model), default=None)


def is_shortage(error: SwellError) -> bool:
    """Whether a load that ended with `error` may succeed with more memory.

    llama.cpp creates contexts for want of memory only, once the model is loaded; the kernel's OOM killer uses SIGKILL.
    """
    return isinstance(error, ContextError) or (isinstance(error, LoadDiedError) and error.exit_code == -signal.SIGKILL)
