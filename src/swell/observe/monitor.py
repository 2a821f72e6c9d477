"""Looks at the loaded models while something happens, and remembers what they were like."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from swell.clock import Clock, SystemClock
from swell.metrics.events import ServerEvent
from swell.metrics.observer import Metrics
from swell.observe.numbers import ModelNumbers, Moment, Sample, model_numbers, rated, title
from swell.scheduler.scheduler import LoadedModel
from swell.scheduler.schedules import ReplicaNumbers
from swell.settings import Settings
from swell.sizes.recent import RecentSizes

log = logging.getLogger(__name__)

PAUSE_S = 1.0
LISTENED_PAUSE_S = 0.5
HISTORY_LENGTH = 600
"""Ten minutes of seconds in which something happened."""
_KEPT_EVERY_S = 0.95  # a little less than a second, so that none is skipped for the sake of a late look
_RATE_S = 0.2  # over a shorter time a rate is a matter of luck


class Monitor:
    """Asks for everybody who wants to know. While nothing changes it rests, until something happens or is asked.

    A look takes a runner 60 µs, and doesn't wait for what that computes.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        describe: Callable[[], Awaitable[Sequence[LoadedModel]]],
        count_queued: Callable[[], int],
        clock: Clock | None = None,
        sizes: RecentSizes | None = None,
    ) -> None:
        """`describe` gives the loaded models, `sizes` those of their latest turns."""
        self._clock = clock or SystemClock()
        self.latest = Sample(self._now_s())
        self.history = deque[Moment](maxlen=HISTORY_LENGTH)
        self.on_change: Callable[[Sample], None] = lambda _: None
        """Called with every sample that isn't like the one before."""
        self.is_listened_to: Callable[[], bool] = lambda: False
        """Whether somebody looks at every sample."""
        self.replicas: Callable[[], Sequence[ReplicaNumbers]] = tuple
        """Those of a fleet."""
        self._settings = settings
        self._metrics = metrics
        self._describe = describe
        self._count_queued = count_queued
        self._sizes = sizes or RecentSizes()
        self._wake = asyncio.Event()
        metrics.watch(self._on_event)

    def poke(self) -> None:
        """Somebody wants to know: look soon."""
        self._wake.set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self._wake.clear()
            try:
                changed = await self._look()
            except Exception:  # a view that stands still is better than none
                log.exception("the loaded models could not be looked at")
                changed = False
            if changed or self._metrics.turns or self.is_listened_to():
                await asyncio.sleep(LISTENED_PAUSE_S if self.is_listened_to() else PAUSE_S)
            else:
                await self._wake.wait()

    async def _look(self) -> bool:
        """Whether anything has changed since the last time."""
        rows = await self._describe()
        now_s = self._now_s()
        known = {numbers.model: numbers for numbers in self.latest.models}
        models = tuple(
            numbers for row in rows if (numbers := self._numbers(row, known, now_s - self.latest.at_s)) is not None
        )
        replicas = tuple(self.replicas())
        sample = Sample(now_s, self._count_queued(), len(self._metrics.turns), models, replicas)
        if not self.history or now_s - self.history[-1].at_s >= _KEPT_EVERY_S:
            self.history.append(Moment.of(sample))
        is_news = not sample.is_like(self.latest)
        self.latest = sample
        if is_news:
            self.on_change(sample)
        return is_news

    def _numbers(self, row: LoadedModel, known: dict[str, ModelNumbers], elapsed_s: float) -> ModelNumbers | None:
        """Those of one model; the last known ones if its runner didn't answer in time."""
        before = known.get(title(row))
        if row.stats is None:
            return before
        numbers = model_numbers(row, row.stats, self._settings, self._sizes.of(row.model.key_digest))
        if elapsed_s < _RATE_S and before is not None:
            return msgspec.structs.replace(
                numbers, read_per_s=before.read_per_s, generated_per_s=before.generated_per_s
            )
        return rated(numbers, before, elapsed_s)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()

    def _on_event(self, _event: ServerEvent) -> None:
        self._wake.set()
