"""What happens, as it happens: for any number of views, each event written once."""

from collections import deque
from collections.abc import AsyncGenerator

import msgspec

from swell.metrics.events import ModelEvent, RequestFinished, ServerEvent
from swell.metrics.observer import Metrics
from swell.metrics.subscribers import Missed, Subscribers
from swell.observe.monitor import Monitor
from swell.observe.numbers import Moment, Sample, titled

UNREAD_MAX = 64
"""Messages that a view may be behind: half a minute of numbers, 200 kB with three models."""
EVENTS_KEPT = 200

_encoder = msgspec.json.Encoder()


class LiveMessage(msgspec.Struct, frozen=True):
    """One message to a view: its name and its JSON."""

    name: str
    data: bytes


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What a view is told first: the numbers now, and what led to them."""

    now: Sample
    history: tuple[Moment, ...]
    events: tuple[ServerEvent, ...]


class Lost(msgspec.Struct, frozen=True):
    """So many messages came too fast for a view."""

    messages: int


class Live:
    """Views are given a snapshot, then events as they happen and numbers as they change. Used from the event loop
    only.
    """

    def __init__(self, metrics: Metrics, monitor: Monitor) -> None:
        self._monitor = monitor
        self._events = deque[ServerEvent](maxlen=EVENTS_KEPT)
        self._views = Subscribers[LiveMessage](UNREAD_MAX)
        monitor.on_change = self._on_sample
        monitor.is_listened_to = lambda: len(self._views) > 0
        metrics.watch(self._on_event)

    async def messages(self) -> AsyncGenerator[LiveMessage, None]:
        """All messages for one view, until it leaves or the server stops. One that is slow loses the oldest, and is
        told so.
        """
        with self._views.subscribe() as subscription:
            self._monitor.poke()
            yield _message("snapshot", self._snapshot())
            async for message in subscription:
                yield _message("lost", Lost(message.items)) if isinstance(message, Missed) else message

    def close(self) -> None:
        """End all views' streams."""
        self._views.close()

    def _snapshot(self) -> Snapshot:
        return Snapshot(now=self._monitor.latest, history=tuple(self._monitor.history), events=tuple(self._events))

    def _on_event(self, event: ServerEvent) -> None:
        if isinstance(event, RequestFinished) and not event.model:
            return  # somebody only looked at something
        shown = _shown(event)
        self._events.append(shown)
        if self._views:
            self._views.publish(_message("event", shown))

    def _on_sample(self, sample: Sample) -> None:
        if self._views:
            self._views.publish(_message("numbers", sample))


def _shown(event: ServerEvent) -> ServerEvent:
    """The event with the model called as it is in the numbers."""
    if not isinstance(event, ModelEvent):
        return event
    return msgspec.structs.replace(event, model=titled(event.model, event.replica))


def _message(name: str, data: object) -> LiveMessage:
    return LiveMessage(name, _encoder.encode(data))
