"""What the server has done since it started: the one place where it counts.

Scheduler, turns and recovery report here what happened; `/stats` reads it. What a runner has done it counts itself, in
the `Totals` of its statistics. Used from the event loop only.
"""

from collections import Counter
from enum import Enum


class Metrics:
    """Counts events by their kind, under the texts of the enums that name the kinds."""

    def __init__(self) -> None:
        self.recovery_steps = Counter[str]()
        """What was tried to let requests go on."""
        self.reclaims = Counter[str]()
        """Whose memory was given to models in need."""

    def recovery_step(self, step: Enum) -> None:
        """A request that could not go on has taken `step`."""
        self.recovery_steps[step.value] += 1

    def reclaim(self, source: Enum) -> None:
        """Memory was taken from `source`."""
        self.reclaims[source.value] += 1
