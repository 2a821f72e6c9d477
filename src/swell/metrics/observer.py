"""The one place where a server counts."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from swell.metrics.events import MemoryReclaimed, RecoveryStarted, ServerEvent

log = logging.getLogger(__name__)


class TurnTokens(Protocol):
    """A turn in progress: its model, and the tokens that it has read and written so far."""

    model: str
    prompt_tokens: int
    cached_tokens: int

    @property
    def generated_tokens(self) -> int: ...


Watcher = Callable[[ServerEvent], None]


class Metrics:
    """Is told of every event, and tells all who watch. Used from the event loop only.

    What a runner has done it counts itself, in the `Totals` of its statistics.
    """

    def __init__(self) -> None:
        self.recovery_steps = Counter[str]()
        """What was tried to let requests go on."""
        self.reclaims = Counter[str]()
        """Whose memory was given to models in need."""
        self.turns: set[TurnTokens] = set()
        """Those in progress."""
        self._watchers: list[Watcher] = []

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` with every event from now on, at once: it must be quick. What it raises is logged."""
        self._watchers.append(watcher)

    def report(self, event: ServerEvent) -> None:
        """`event` has happened."""
        match event:
            case RecoveryStarted():
                self.recovery_steps[event.step] += 1
            case MemoryReclaimed():
                self.reclaims[event.source] += 1
        for watcher in self._watchers:
            try:
                watcher(event)
            except Exception:  # to be watched must not end what is watched
                log.exception("%s could not be noted", type(event).__name__)
