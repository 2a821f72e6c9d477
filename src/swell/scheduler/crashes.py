"""Files that make llama.cpp crash, while it loads them or later: these aren't loaded again and again."""

import signal
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

from swell.clock import Clock
from swell.errors import LoadCrashedError, LoadDiedError, RunnerLostError, SwellError
from swell.loss import Loss
from swell.models.model import Model
from swell.scheduler.load_options import LoadOptions

CRASHES_MAX = 2
PAUSE = timedelta(minutes=5)
_REMEMBERED = 256
_KILLS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Attempt(NamedTuple):
    """A model's files as they were (`Model.stamp`), and how they were to be loaded."""

    model: str
    options: LoadOptions


class _Record(NamedTuple):
    crashes: int
    last: datetime


class LoadCrashes:
    """Counts the crashes of each file. After two it isn't tried again for five minutes, or until it is another one.

    One that was ever loaded is not counted: something else ends its runners, and they are replaced. But if a runner
    crashes or hangs before it has answered anything, that may be the file's fault or the request's: the next one must
    prove that llama.cpp can compute with the file before it is used, and if it dies of that, its load has crashed.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records = OrderedDict[_Attempt, _Record]()
        self._sound = OrderedDict[_Attempt, None]()
        self._suspects = OrderedDict[_Attempt, None]()

    def check(self, model: Model, options: LoadOptions) -> None:
        """Raises LoadCrashedError where a load would only crash again."""
        record = self._records.get(_attempt(model, options))
        if record is not None and record.crashes >= CRASHES_MAX and self._clock.now() < record.last + PAUSE:
            raise LoadCrashedError(str(model.path), record.crashes)

    def suspects(self, model: Model, options: LoadOptions) -> bool:
        """Whether a runner of the file must prove that it can compute before it is used."""
        return _attempt(model, options) in self._suspects

    def note(self, model: Model, options: LoadOptions, error: SwellError) -> None:
        """Count a load that ended with `error`, if it is a crash: not an error that was reported, nor a kill."""
        attempt = _attempt(model, options)
        if not isinstance(error, LoadDiedError) or attempt in self._sound:
            return
        if not _is_crash(error.exit_code) and not (attempt in self._suspects and error.loss is Loss.STUCK):
            return
        before = self._records.pop(attempt, None)
        self._records[attempt] = _Record(before.crashes + 1 if before else 1, self._clock.now())
        if len(self._records) > _REMEMBERED:
            self._records.popitem(last=False)

    def note_loaded(self, model: Model, options: LoadOptions) -> None:
        """Note a load that succeeded: what it had counted is forgotten."""
        attempt = _attempt(model, options)
        self._records.pop(attempt, None)
        self._suspects.pop(attempt, None)
        _remember(self._sound, attempt)

    def note_lost(self, model: Model, options: LoadOptions, loss: RunnerLostError) -> None:
        """Note a runner that was lost before it had answered anything: its file is suspected if it crashed or hung."""
        attempt = _attempt(model, options)
        if _is_crash(loss.exit_code) or loss.loss is Loss.STUCK:
            self._sound.pop(attempt, None)
            _remember(self._suspects, attempt)


def _remember(attempts: OrderedDict[_Attempt, None], attempt: _Attempt) -> None:
    attempts[attempt] = None
    attempts.move_to_end(attempt)
    if len(attempts) > _REMEMBERED:
        attempts.popitem(last=False)


def _is_crash(exit_code: int | None) -> bool:
    return exit_code is not None and exit_code < 0 and -exit_code not in _KILLS


def _attempt(model: Model, options: LoadOptions) -> _Attempt:
    return _Attempt(model.stamp, options)
