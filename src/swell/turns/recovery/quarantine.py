"""Turns in quarantine: requests that may have ended their runner go on alone, one after the other for each model."""

import asyncio
import contextlib
import dataclasses
import hashlib
import logging
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator

from swell.models.model import Model
from swell.scheduler.runner_key import RunnerRole

log = logging.getLogger(__name__)

_REMEMBERED = 256


@dataclasses.dataclass
class _Line:
    """Those who wait for a model's quarantine, each by the number of its arrival at the server."""

    waiting: set[int] = dataclasses.field(default_factory=set)
    is_taken: bool = False
    convictions: int = 0


class Quarantine:
    """Gives out turns, and remembers what was convicted. Used from the event loop only.

    The latest request has its turn first, because it is the likeliest to be guilty: the others had gone well before.
    When one is convicted, what ended the others' runners is found, and those that still wait are free.
    """

    def __init__(self) -> None:
        self._lines = defaultdict[str, _Line](_Line)
        self._convicted = OrderedDict[bytes, None]()
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def turn(self, model: Model, arrival: int) -> AsyncIterator[RunnerRole]:
        """Inside, the role where a suspect goes on: quarantine, which it has alone, or the common one if it was cleared
        while it waited.
        """
        line = self._lines[model.key]
        line.waiting.add(arrival)
        convictions = line.convictions
        role = RunnerRole.SHARED
        try:
            while line.convictions == convictions and (line.is_taken or arrival < max(line.waiting)):
                await self._changed.wait()
            line.waiting.remove(arrival)
            if line.convictions == convictions:
                role = RunnerRole.QUARANTINE
                line.is_taken = True
            self._notify()
            yield role
        finally:
            line.waiting.discard(arrival)
            if role is RunnerRole.QUARANTINE:
                line.is_taken = False
            self._notify()

    def is_wanted(self, model: Model) -> bool:
        """Whether somebody waits for a turn."""
        return bool(self._lines[model.key].waiting)

    def convict(self, model: Model, content: object) -> None:
        """`content` ended one runner after the other, also alone. To be called before anything is awaited after its
        turn, so that those that wait are cleared instead of having theirs.
        """
        log.error("a request ended every runner of %s that it was given; it is refused", model.name)
        self._convicted[_fingerprint(model, content)] = None
        if len(self._convicted) > _REMEMBERED:
            self._convicted.popitem(last=False)
        self._lines[model.key].convictions += 1
        self._notify()

    def knows(self, model: Model, content: object) -> bool:
        """Whether the same was convicted before."""
        return bool(self._convicted) and _fingerprint(model, content) in self._convicted

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _fingerprint(model: Model, content: object) -> bytes:
    return hashlib.sha256(repr((model.key, content)).encode("utf-8", "surrogatepass")).digest()
