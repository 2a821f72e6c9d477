"""With how many threads a runner computes its next step: carries out the policy."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from swell.processors.allowance import Allowance
from swell.processors.policy import LOOK_S, Look, ThreadsLevel, adapt, after_rest
from swell.processors.readings import KernelReadings, Reading, Readings
from swell.processors.shares import Demands, fair_share

log = logging.getLogger(__name__)

LASTING_S = 5.0
"""A number of threads that stays for so long is logged."""


class ThreadUse(NamedTuple):
    """Threads of the latest step, threads there may be, and seconds that compute threads waited for a processor."""

    now: int
    allowed: int
    waited_s: float


class Governor:
    """Says before each step how many threads compute it. Used by the thread that computes; `use` by any.

    As many as the machine can give now, unless all requests of the step ask for a number (`num_thread`): then the
    largest of these. So a request that asks for few doesn't slow down one that asks for nothing. With `exact` it is
    always that number.
    """

    def __init__(
        self,
        demands: Demands,
        entry: int,
        *,
        exact: int | None = None,
        allowance: Allowance | None = None,
        readings: Readings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """In `entry` of `demands` the server's other runners see how many threads this one wants."""
        self._demands = demands
        self._entry = entry
        self._exact = exact
        self._allowance = allowance or Allowance()
        self._readings = readings or KernelReadings()
        self._clock = clock
        self._allowed = self._allowance.threads()
        self._level = ThreadsLevel(self._allowed)
        self._governed = self._allowed
        self._requested: int | None = None
        self._was_requested = False  # at some step since the last look
        self._threads = exact or self._allowed
        self._is_resting = True
        self._looked_s = clock()
        self._reading = self._readings.read()
        self._waited_s = 0.0
        self._logged = self._threads
        self._changed_s = self._looked_s

    @property
    def use(self) -> ThreadUse:
        """The numbers of this moment, for statistics."""
        return ThreadUse(self._threads, self._exact or self._requested or self._allowed, self._waited_s)

    def threads_for_step(self, requested: Sequence[int | None] = ()) -> int:
        """How many threads to compute the next step with. Its requests ask for `requested`, None for no number.

        Costs 0.5 µs, or 0.2 ms when the machine is looked at, every LOOK_S seconds.
        """
        self._requested = max((threads for threads in requested if threads), default=None) if all(requested) else None
        self._was_requested |= self._requested is not None
        now_s = self._clock()
        if self._is_resting or now_s - self._looked_s >= LOOK_S:
            self._look(now_s)
        self._threads = self._exact or self._requested or self._governed
        return self._threads

    def rest(self) -> None:
        """Say that there is nothing to compute for now: other runners may have the threads."""
        if not self._is_resting:
            self._is_resting = True
            self._demands.want(self._entry, 0)
            self._looked_s, self._reading = self._clock(), self._readings.read()

    def _look(self, now_s: float) -> None:
        """Read what threads waited since the last look, and adapt the number of threads."""
        elapsed_s = now_s - self._looked_s
        reading = self._readings.read()
        self._allowed = self._allowance.threads()
        if reading is not None and self._reading is not None and elapsed_s >= LOOK_S:
            idle = (reading.idle_s - self._reading.idle_s) / elapsed_s
            if self._is_resting:
                self._level = after_rest(self._level, idle, self._allowed)
            elif not self._was_requested:
                waits = tuple(_waits(self._reading, reading))
                self._waited_s += sum(waits)
                parts = tuple(wait_s / elapsed_s for wait_s in waits)
                look = Look(elapsed_s=elapsed_s, threads=self._governed, waits=parts, idle=idle)
                self._level = adapt(self._level, look, self._allowed)
        self._is_resting, self._was_requested = False, self._requested is not None
        self._looked_s, self._reading = now_s, reading
        self._take_share(now_s)

    def _take_share(self, now_s: float) -> None:
        """Set the number of threads: the level, but no more than a fair share beside the server's other runners."""
        self._demands.want(self._entry, self._exact or self._requested or self._allowed)
        share = fair_share(self._allowed, self._allowed, self._demands.others(self._entry))
        governed = max(1, min(self._level.threads, share))
        if governed != self._governed:
            self._governed, self._changed_s = governed, now_s
        if governed != self._logged and now_s - self._changed_s >= LASTING_S:
            self._logged = governed
            log.info("computing with %d of %d threads now", governed, self._allowed)


def _waits(before: Reading, after: Reading) -> list[float]:
    """Seconds that each thread waited for a processor in between; a new thread's count began at 0."""
    return [waited_s - before.waited_s.get(thread, 0.0) for thread, waited_s in after.waited_s.items()]
