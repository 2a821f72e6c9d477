"""Loads that crashed: a file that makes llama.cpp crash isn't loaded again and again."""

import signal
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

from swell.clock import Clock
from swell.errors import LoadCrashedError, LoadDiedError, SwellError
from swell.models.model import Model
from swell.scheduler.load_options import LoadOptions

CRASHES_MAX = 2
PAUSE = timedelta(minutes=5)
_REMEMBERED = 256
_KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Attempt(NamedTuple):
    """Weights as they were, and how they were to be loaded."""

    weights: str
    modified_at: datetime
    options: LoadOptions


class _Record(NamedTuple):
    crashes: int
    last: datetime


class LoadCrashes:
    """Counts the crashes of each file. After two it isn't tried again for five minutes, or until it is another one.

    One that was ever loaded is not counted: something else ends its runners, and they are replaced.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records = OrderedDict[_Attempt, _Record]()
        self._sound = OrderedDict[_Attempt, None]()

    def check(self, model: Model, options: LoadOptions) -> None:
        """Raises LoadCrashedError where a load would only crash again."""
        record = self._records.get(_attempt(model, options))
        if record is not None and record.crashes >= CRASHES_MAX and self._clock.now() < record.last + PAUSE:
            raise LoadCrashedError(str(model.path), record.crashes)

    def note(self, model: Model, options: LoadOptions, error: SwellError) -> None:
        """Count a load that ended with `error`, if it is a crash: not an error that was reported, nor a kill."""
        attempt = _attempt(model, options)
        if not isinstance(error, LoadDiedError) or error.exit_code is None or attempt in self._sound:
            return
        if error.exit_code >= 0 or -error.exit_code in _KILLS:
            return
        before = self._records.pop(attempt, None)
        self._records[attempt] = _Record(before.crashes + 1 if before else 1, self._clock.now())
        if len(self._records) > _REMEMBERED:
            self._records.popitem(last=False)

    def note_loaded(self, model: Model, options: LoadOptions) -> None:
        """Note a load that succeeded: what it had counted is forgotten."""
        attempt = _attempt(model, options)
        self._records.pop(attempt, None)
        self._sound[attempt] = None
        self._sound.move_to_end(attempt)
        if len(self._sound) > _REMEMBERED:
            self._sound.popitem(last=False)


def _attempt(model: Model, options: LoadOptions) -> _Attempt:
    return _Attempt(model.weights.key, model.modified_at, options)
