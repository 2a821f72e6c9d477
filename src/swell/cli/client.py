"""The one HTTP client of all commands: typed replies, typed errors, streams as lines of JSON."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, TypeVar

import httpx
import msgspec

from swell.cli.errors import (
    AnswerFailedError,
    BadReplyError,
    ConnectionLostError,
    NoServerError,
    RefusedError,
    UsageError,
)
from swell.host import HostAddress

Reply = TypeVar("Reply")

CONNECT_TIMEOUT_S = 5.0
"""A server that is there accepts at once, even while it loads."""
GET_TIMEOUT_S = 30.0
"""Nothing is computed for a HEAD or GET, so silence means a server that hangs. A POST may take as long as it likes."""

EVENTS_TIMEOUT_S = 60.0
"""Swell's streams of events are never silent for longer than half a minute."""

_EVENTS_TIMEOUT = httpx.Timeout(EVENTS_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
_GET_TIMEOUT = httpx.Timeout(GET_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)


class _ErrorBody(msgspec.Struct):
    error: str = ""


class Client:
    """A connection to the server at `address`; a context manager.

    Every method raises NoServerError, ConnectionLostError, RefusedError or BadReplyError.
    """

    def __init__(self, address: HostAddress) -> None:
        self.url = address.url
        try:
            self._http = httpx.Client(
                base_url=self.url,
                timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
                trust_env=False,  # a proxy must not catch requests to loopback
                verify=address.scheme == "https",  # reading the CA bundle costs 20 ms that plain HTTP needn't pay
            )
        except httpx.InvalidURL as error:
            raise UsageError(f"{self.url} is no address of a server: {error}") from error

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def heartbeat(self) -> None:
        """Return if a server is there."""
        with self._translated():
            _check(self._http.head("/", timeout=_GET_TIMEOUT), streamed=False)

    def get(self, path: str, reply: type[Reply], timeout: httpx.Timeout = _GET_TIMEOUT) -> Reply:
        """GET `path`, decoded as `reply`."""
        with self._translated():
            response = self._http.get(path, timeout=timeout)
            _check(response, streamed=False)
            return msgspec.json.decode(response.content, type=reply)

    def post(self, path: str, body: dict[str, Any], reply: type[Reply]) -> Reply:
        """POST `body` to `path` for one whole answer, decoded as `reply`."""
        with self._translated():
            response = self._http.post(path, content=msgspec.json.encode(body))
            _check(response, streamed=False)
            return msgspec.json.decode(response.content, type=reply)

    def tell(self, method: str, path: str, body: dict[str, Any]) -> None:
        """Send `body` to `path`, which answers with nothing but its status."""
        with self._translated():
            _check(self._http.request(method, path, content=msgspec.json.encode(body)), streamed=False)

    def has(self, path: str) -> bool:
        """Whether something is at `path`."""
        with self._translated():
            response = self._http.head(path, timeout=_GET_TIMEOUT)
            if response.status_code != HTTPStatus.NOT_FOUND:
                _check(response, streamed=False)
            return response.is_success

    def upload(self, path: str, pieces: Iterable[bytes], size_bytes: int) -> None:
        """POST a body of `size_bytes` as it comes in `pieces`, so that all of it is never in memory."""
        headers = {"Content-Length": str(size_bytes), "Content-Type": "application/octet-stream"}
        with self._translated():
            _check(self._http.post(path, content=pieces, headers=headers), streamed=False)

    def stream(self, path: str, body: dict[str, Any], reply: type[Reply]) -> Generator[Reply, None, None]:
        """POST `body` to `path` and yield each line of the answer; closing the iterator cancels the request.

        Raises AnswerFailedError for a line that holds an error.
        """
        content = msgspec.json.encode(body)
        with self._translated(), self._http.stream("POST", path, content=content) as response:
            if response.is_error:
                response.read()
            _check(response, streamed=True)
            for line in lines(response.iter_bytes()):
                failure = msgspec.json.decode(line, type=_ErrorBody).error
                if failure:
                    raise AnswerFailedError(failure)
                yield msgspec.json.decode(line, type=reply)

    def events(self, path: str) -> Generator[tuple[str, bytes], None, None]:
        """GET `path` and yield the name and the data of each server-sent event; closing the iterator ends the request.

        Raises RefusedError if `path` isn't there, and ConnectionLostError if the server is silent for too long.
        """
        with self._translated(), self._http.stream("GET", path, timeout=_EVENTS_TIMEOUT) as response:
            if response.is_error:
                response.read()
            _check(response, streamed=False)
            name = ""
            for line in lines(response.iter_bytes()):
                field, _, value = line.partition(b": ")
                if field == b"event":
                    name = value.decode()
                elif field == b"data":
                    yield name, value
                    name = ""

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NoServerError(self.url) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise ConnectionLostError(str(error) or type(error).__name__) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadReplyError(str(error)) from error


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines in a stream of bytes, blank ones dropped.

    httpx's own `iter_lines` also splits at U+2028 and its like, which JSON allows within strings.
    """
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        yield from (line for line in complete if line.strip())
    if rest.strip():
        yield rest


def _check(response: httpx.Response, *, streamed: bool) -> None:
    if not response.is_error:
        return
    try:
        text = msgspec.json.decode(response.content, type=_ErrorBody).error
    except msgspec.DecodeError:
        text = response.text.strip()  # not from an API endpoint, so a plain page
    raise RefusedError(response.status_code, response.reason_phrase, text, streamed)
