"""HTTP connections that end: a client that sends no request, or half of one, or doesn't read its answer, doesn't keep
one for ever.

uvicorn bounds neither the size of a request's head nor how long it may take to come, nor how long an answer waits to
be read: its task would wait in `send`, with its lease of a model. It closes connections after 5 s without a request, at
which clients that keep theirs as long find them closed in the midst of the next one. And its parser loses the body of a
request that offers another protocol, as Java's HTTP client does with each first one (`Upgrade: h2c`), although nobody
need accept.
"""

import array
import asyncio
import fcntl
import http
import logging
import re
import resource
import termios
from collections import deque
from enum import Enum
from typing import ClassVar, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from swell.clock import RateLimit
from swell.durations import FOREVER_S

log = logging.getLogger(__name__)

HEAD_MAX_BYTES = 64 << 10
"""Of a request's line and headers together, unless they come at once."""
_OFFER = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_FILES_MAX = 1 << 16
_OTHER_FILES = 256  # of runners, models, the log

_refusals_logged = RateLimit(60.0)


def most_connections() -> int:
    """How many clients may be connected at a time. Raises the process's limit of open files as far as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _FILES_MAX if most == resource.RLIM_INFINITY else min(most, _FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return max(files - _OTHER_FILES, files // 2)


class _Awaited(Enum):
    """What is awaited from the client."""

    NEXT = "next request"
    HEAD = "head"
    BODY = "body"
    NOTHING = "nothing"


_BEFORE_BODY = (_Awaited.NEXT, _Awaited.HEAD)


class Connection(HttpToolsProtocol):
    """One client's, for any number of requests."""

    limits_s: ClassVar = {_Awaited.NEXT: 120.0, _Awaited.HEAD: 30.0, _Awaited.BODY: 60.0}
    """How long a connection may be idle, a head may take as a whole, and each piece of a body. Proxies and pools of
    clients keep connections for up to 90 s.
    """
    send_limit_s: ClassVar = FOREVER_S
    """How long a client may read nothing of what waits for it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.transport.set_write_buffer_limits(high=0)  # so writing is paused exactly while something waits to be read
        self._unanswered = deque[RequestResponseCycle]()
        self._head_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._wait_for(_Awaited.HEAD)
        most = self.config.limit_concurrency
        if most is not None and len(self.connections) > most:
            if _refusals_logged.allows():
                log.warning("clients are refused: %d are connected, as many as may be", most)
            self._refuse(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_for(_Awaited.NOTHING)
        self._stop_send_timer()
        for cycle in self._unanswered:  # uvicorn tells only the last one of several that came at once
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.send_limit_s != FOREVER_S:
            self._wait_for_reader(self._unread_bytes())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_send_timer()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._awaited in _BEFORE_BODY:
            self._head_bytes += len(data)
            data = _without_offer(data)
        super().data_received(data)
        if self._awaited is _Awaited.BODY:
            self._wait_for(_Awaited.BODY)
        elif self._awaited in _BEFORE_BODY and self._head_bytes > HEAD_MAX_BYTES:
            self._refuse(http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the headers are too long")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait_for(_Awaited.HEAD)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._unanswered.append(self.cycle)
        self._head_bytes = 0
        self._wait_for(_Awaited.BODY)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._wait_for(_Awaited.NOTHING)

    def on_response_complete(self) -> None:
        self._unanswered.popleft()
        super().on_response_complete()
        if self._awaited is _Awaited.NOTHING and self.cycle.response_complete:
            self._wait_for(_Awaited.NEXT)

    def timeout_keep_alive_handler(self) -> None:
        """Does nothing: how long a connection may be idle is our own limit."""

    def _wait_for(self, awaited: _Awaited) -> None:
        self._awaited = awaited
        if self._timer is not None:
            self._timer.cancel()
        limit_s = self.limits_s.get(awaited)
        self._timer = None if limit_s is None else self.loop.call_later(limit_s, self._give_up)

    def _give_up(self) -> None:
        if self._awaited is not _Awaited.NEXT:
            log.info("closing a connection: the %s of a request didn't come in time", self._awaited.value)
        self.transport.close()

    def _wait_for_reader(self, unread_bytes: int) -> None:
        self._send_timer = self.loop.call_later(self.send_limit_s, self._check_reader, unread_bytes)

    def _check_reader(self, before_bytes: int) -> None:
        """Nothing is written meanwhile, so what is unread becomes less or stays."""
        unread_bytes = self._unread_bytes()
        if unread_bytes < before_bytes:
            self._wait_for_reader(unread_bytes)
            return
        log.info("closing a connection: its client has read nothing for %g s", self.send_limit_s)
        self.transport.abort()

    def _unread_bytes(self) -> int:
        """What waits here and in the kernel, which takes more only when a third of its megabytes was read. A client's
        kernel says so for every 64 kB at the latest."""
        queued = array.array("i", [0])
        fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, queued)
        return self.transport.get_write_buffer_size() + queued[0]

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()

    def _refuse(self, status: http.HTTPStatus, reason: str) -> None:
        body = f"{reason}\n".encode()
        head = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()


def _without_offer(data: bytes) -> bytes:
    """`data`, in which a head begins or goes on, without the offer of another protocol."""
    end = data.find(_HEAD_END)
    end = len(data) if end < 0 else end + 2
    return _OFFER.sub(b"", data[:end]) + data[end:]


def connections(limit_s: float) -> type[Connection]:
    """Those of clients that may read nothing for so long."""

    class Limited(Connection):
        send_limit_s: ClassVar = limit_s

    return Limited
