"""What a server tells, without end: as it happens if it does that, else once in a second; and again when it is back."""

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

import msgspec

from swell.cli.client import Client
from swell.cli.errors import BadReplyError, CommandError, RefusedError
from swell.cli.live.polling import differences, poll, rated
from swell.cli.live.readings import FeedMessage, FirstReading, Gone, Happening, ServerReading

POLL_S = 1.0
RETRY_S = 1.0

Pause = Callable[[float], None]

_TYPES = {"snapshot": FirstReading, "numbers": ServerReading, "event": Happening}
"""What an event of GET /api/events holds. Others, of later servers, are no matter of ours."""
_ABSENT = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED)


def feed(client: Client, pause: Pause = time.sleep) -> Iterator[FeedMessage]:
    """Messages of the server, of which the first after each connection is a `FirstReading`. Raises nothing."""
    while True:
        try:
            yield from _told(client, pause)
            yield Gone("it has ended the connection")
        except CommandError as error:
            yield Gone(str(error))
        pause(RETRY_S)


def _told(client: Client, pause: Pause) -> Iterator[FeedMessage]:
    try:
        yield from _events(client)
    except RefusedError as error:
        if error.status not in _ABSENT:
            raise
        yield from _polled(client, pause)


def _events(client: Client) -> Iterator[FeedMessage]:
    for name, data in client.events("/api/events"):
        if kind := _TYPES.get(name):
            try:
                yield msgspec.json.decode(data, type=kind)
            except msgspec.DecodeError as error:
                raise BadReplyError(str(error)) from error


def _polled(client: Client, pause: Pause) -> Iterator[FeedMessage]:
    before = poll(client)
    yield FirstReading(before.reading)
    while True:
        pause(POLL_S)
        now = rated(poll(client), before)
        yield from differences(before, now)
        yield now.reading
        before = now
