"""Which recovery step to take next for a generation that can't go on. Pure."""

import dataclasses
from collections.abc import Sequence
from enum import Enum

from swell.errors import KvGrowError
from swell.supervisor.causes import Cause


class RecoveryStep(Enum):
    """One thing to try, from what costs nobody anything to what costs this generation something.

    What a runner can do itself, reclaiming and asking idle models for their cache, came before the first one.
    """

    EVICT_IDLE = "evict idle models"
    WAIT = "wait for others to finish"
    RELOAD = "go on in a new runner"
    OTHER_PLACEMENT = "reload with another placement"
    SMALLER_CACHE = "reload with a smaller cache type"
    WINDOW_END = "end the window here"
    GIVE_UP = "give up"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Situation:
    """What could be done at this moment.

    `idle_models` can be unloaded; `busy_requests` of any model may end; a placement or a cache type is there
    that takes less of the memory that was short. `attempts_max` bounds the steps tried without progress.
    """

    idle_models: int
    busy_requests: int
    has_other_placement: bool
    has_smaller_cache: bool
    attempts_max: int


PLACEMENTS_MAX = 2
"""Half of the layers that are on devices, then none."""

COMPANY_DEATHS_MAX = 2
"""After so many deaths of its runners without progress, a request goes on alone."""
PROGRESS_TOKENS = 32
"""So many tokens after a runner's death, what was tried after it is forgotten. With one token, a request that ends its
runner at every token would go on without end, and each time cost its neighbours a reload."""

_NEEDS_MEMORY = (Cause.GROWTH_REFUSED, Cause.OUT_OF_MEMORY)


@dataclasses.dataclass(frozen=True)
class Attempt:
    """`step` was tried with so many tokens generated, for `cause`."""

    step: RecoveryStep
    cause: Cause
    generated: int

    def is_forgotten(self, generated: int) -> bool:
        """Whether the tokens since then are progress."""
        return generated - self.generated >= (PROGRESS_TOKENS if self.cause.is_death else 1)


def is_suspect(tried: Sequence[Attempt], attempts_max: int) -> bool:
    """Whether a request may be what ended its runners, so that it must not go on beside others."""
    return sum(attempt.cause.is_death for attempt in tried) >= max(1, min(COMPANY_DEATHS_MAX, attempts_max))


def next_recovery_step(cause: Cause, tried: Sequence[RecoveryStep], situation: Situation) -> RecoveryStep:
    """The next thing to try after what was `tried` without progress, in that order."""
    if len(tried) >= situation.attempts_max:
        return _last(cause, tried)
    if cause not in _NEEDS_MEMORY:
        return RecoveryStep.RELOAD
    if situation.idle_models and RecoveryStep.EVICT_IDLE not in tried:
        return RecoveryStep.EVICT_IDLE
    if cause is Cause.OUT_OF_MEMORY and RecoveryStep.RELOAD not in tried:
        return RecoveryStep.RELOAD
    if situation.busy_requests and RecoveryStep.WAIT not in tried:
        return RecoveryStep.WAIT
    if situation.has_other_placement and tried.count(RecoveryStep.OTHER_PLACEMENT) < PLACEMENTS_MAX:
        return RecoveryStep.OTHER_PLACEMENT
    if situation.has_smaller_cache:
        return RecoveryStep.SMALLER_CACHE
    return RecoveryStep.RELOAD if cause is Cause.OUT_OF_MEMORY else _last(cause, tried)


def _last(cause: Cause, tried: Sequence[RecoveryStep]) -> RecoveryStep:
    """The last step: where the window couldn't grow, it may end there, once."""
    return (
        RecoveryStep.WINDOW_END
        if cause is Cause.GROWTH_REFUSED and RecoveryStep.WINDOW_END not in tried
        else RecoveryStep.GIVE_UP
    )


def back_off_s(tried: Sequence[RecoveryStep]) -> float:
    """How long to wait before a step is tried, so that a machine in trouble isn't kept busy with reloads."""
    return 0.0 if not tried else min(0.25 * 2 ** len(tried), 4.0)


def possible_cells(refused: KvGrowError) -> int:
    """How many cells the slot could have, as far as each costs the same; what it has where nobody knows better."""
    if refused.free_bytes >= refused.needed_bytes:
        return refused.from_cells  # refused all the same
    return refused.from_cells + (refused.to_cells - refused.from_cells) * refused.free_bytes // refused.needed_bytes
