"""Clients that send no request, half of one, or too much of one."""

import asyncio
import http
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from swell.server import connection
from swell.server.clock import RateLimit
from swell.server.connection import HEAD_MAX_BYTES, Connection, _Awaited, most_connections

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Impatient(Connection):
    limits_s: ClassVar = {_Awaited.HEAD: 0.1, _Awaited.BODY: 0.1}


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, waits for longer than a client may, answers."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def _with_server(
    test: Callable[[Callable[[], Coroutine[Any, Any, Client]]], Coroutine[Any, Any, None]], most: int = 10
) -> None:
    """`test` is given a function that connects to a server."""

    async def run() -> None:
        config = uvicorn.Config(
            _app, port=0, http=Impatient, lifespan="off", log_config=None, limit_concurrency=most, ws="none"
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            await test(lambda: asyncio.open_connection("127.0.0.1", port))
        finally:
            server.should_exit = True
            await task

    asyncio.run(run())


@pytest.mark.parametrize("sent", [b"", REQUEST[:-2], b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n12", b"\r\n"])
def test_what_is_not_finished_is_ended(sent: bytes) -> None:
    async def test(connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        reader, writer = await connect()
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()

    _with_server(test)


def test_an_answer_may_take_longer_and_another_request_follow() -> None:
    async def test(connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        reader, writer = await connect()
        for _ in range(2):
            writer.write(REQUEST)
            assert b"200 OK" in await reader.readuntil(b"ok")
        assert await reader.read() == b""  # nothing more came
        writer.close()

    _with_server(test)


def test_two_requests_at_once_are_answered_in_turn() -> None:
    async def test(connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        reader, writer = await connect()
        writer.write(REQUEST * 2)
        assert (await reader.read()).count(b"200 OK") == 2
        writer.close()

    _with_server(test)


def test_headers_have_a_limit() -> None:
    async def test(connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        reader, writer = await connect()
        writer.write(REQUEST[:-2])
        for _ in range(HEAD_MAX_BYTES // 1000 + 1):
            writer.write(b"x" * 1000)
            await asyncio.sleep(0)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert answer.endswith(b"the headers are too long\n")
        writer.close()

    _with_server(test)


def test_as_many_clients_as_files_allow(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_refusals_logged", RateLimit(60.0))

    async def test(connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        held = [await connect() for _ in range(3)]
        answers = await asyncio.gather(*(reader.read() for reader, _ in held))
        refused = f"HTTP/1.1 {http.HTTPStatus.SERVICE_UNAVAILABLE.value} ".encode()
        assert sorted(answer.startswith(refused) for answer in answers) == [False, False, True]
        for _, writer in held:
            writer.close()

    _with_server(test, most=2)
    assert "clients are refused: 2 are connected" in caplog.text


def test_most_of_the_files_are_for_clients() -> None:
    assert most_connections() >= 512
