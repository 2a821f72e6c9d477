"""Clients that send no request, half of one, or too much of one, or don't read what they asked for."""

import asyncio
import http
import json
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.waiting import until

from swell.api.http import connection
from swell.api.http.connection import HEAD_MAX_BYTES, Connection, _Awaited, connections, most_connections
from swell.clock import RateLimit

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Impatient(Connection):
    limits_s: ClassVar = {_Awaited.NEXT: 0.1, _Awaited.HEAD: 0.1, _Awaited.BODY: 0.1}


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the body, waits for longer than a client may, answers."""
    while (message := await receive())["type"] == "http.request" and message["more_body"]:
        pass
    await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


def _with_server(
    test: Callable[[Callable[[], Coroutine[Any, Any, Client]]], Coroutine[Any, Any, None]],
    most: int = 10,
    app: ASGIApp = _app,
) -> None:
    """`test` is given a function that connects to a server."""

    async def run() -> None:
        config = uvicorn.Config(
            app,
            port=0,
            http=Impatient,
            lifespan="off",
            log_config=None,
            limit_concurrency=most,
            ws="none",
            timeout_keep_alive=0,
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started, "the server listens")
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


def test_a_connection_may_be_idle_for_longer_than_a_head_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """And for longer than uvicorn allows."""
    assert Connection.limits_s[_Awaited.NEXT] > 90
    monkeypatch.setattr(Impatient, "limits_s", {**Impatient.limits_s, _Awaited.NEXT: 60.0})

    async def test(connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        reader, writer = await connect()
        for _ in range(2):
            writer.write(REQUEST)
            assert b"200 OK" in await reader.readuntil(b"ok")
            await asyncio.sleep(0.3)
        writer.write(REQUEST[:-2])  # a head that is begun is no idleness
        assert await reader.read() == b""
        writer.close()

    _with_server(test)


def test_two_requests_at_once_are_answered_in_turn() -> None:
    async def test(connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        reader, writer = await connect()
        writer.write(REQUEST * 2)
        assert (await reader.read()).count(b"200 OK") == 2
        writer.close()

    _with_server(test)


HEAD = b"POST / HTTP/1.1\r\nhost: localhost\r\n"
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"


@pytest.mark.parametrize(
    "body", [b"content-length: 5\r\n\r\nhello", b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize(
    "offer", [OFFER + b"Upgrade: h2c\r\n", b"Upgrade: h2c\r\n" + OFFER, b"upgrade:x\r\n" + OFFER, b""]
)
@pytest.mark.parametrize("pieces", [1, 2])
def test_an_offer_of_another_protocol_costs_no_body(offer: bytes, body: bytes, pieces: int) -> None:
    """As Java's client sends it; in two pieces the body comes later."""

    async def test(connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        reader, writer = await connect()
        head, end, rest = (HEAD + offer + body).partition(b"\r\n\r\n")
        writer.write(head + end + (rest if pieces == 1 else b""))
        await asyncio.sleep(0.01)
        writer.write(rest if pieces == 2 else b"")
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
        writer.write(HEAD + offer + body)  # the connection goes on
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 ")
        writer.close()

    _with_server(test, app=_echo)


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


SEND_LIMIT_S = 1.0
PIECE_BYTES, PIECES = 10_000, 200
"""Together far more than the kernel keeps for a connection with such buffers."""
TEXTS = [f"{number:03}".ljust(PIECE_BYTES, "~") for number in range(PIECES)]
SENT_BYTES, RECEIVED_BYTES = 200_000, 32_768


def _request(**body: object) -> bytes:
    content = json.dumps({"model": "tiny", "prompt": "Hi", **body}).encode()
    return b"POST /api/generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(content) + content


def _with_reader(app: ASGIApp, test: Callable[[socket.socket, uvicorn.Server], Awaitable[None]]) -> None:
    """`test` is given a client that reads only what it is told to, and its server."""

    async def run() -> None:
        config = uvicorn.Config(app, port=0, http=connections(SEND_LIMIT_S), log_config=None, ws="none")
        server = uvicorn.Server(config)
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_BYTES)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
            client.connect(listener.getsockname())
            client.setblocking(False)
            task = asyncio.create_task(server.serve([listener]))
            try:
                async with asyncio.timeout(30):
                    await test(client, server)
            finally:
                client.close()
                server.should_exit = True
                await task

    asyncio.run(run())


async def _received(client: socket.socket) -> bytearray:
    received = bytearray()
    while data := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
        received += data
    return received


@pytest.mark.slow
@pytest.mark.parametrize("requests", [1, 2])
def test_who_never_reads_gives_its_lease_back(server: Any, hang: object, requests: int) -> None:
    server.runner.script = [*TEXTS, hang]

    async def test(client: socket.socket, _web: uvicorn.Server) -> None:
        client.send(_request() * requests)
        await server.runner.cancelled.wait()
        await until(lambda: not server.scheduler.leases, "the lease is given back")
        assert not (await _received(client)).endswith(b"0\r\n\r\n")

    _with_reader(server.app(), test)
    assert [call[0] for call in server.scheduler.calls] == ["lease", "close"]


@pytest.mark.slow
def test_an_answer_in_one_piece_that_nobody_reads_holds_only_its_connection(server: Any) -> None:
    server.runner.script = [*TEXTS]

    async def test(client: socket.socket, web: uvicorn.Server) -> None:
        client.send(_request(stream=False))
        await until(lambda: bool(web.server_state.total_requests), "the request has come")
        assert server.scheduler.leases == 0
        await until(lambda: not web.server_state.connections, "the connection ends")
        assert len(await _received(client)) < PIECE_BYTES * PIECES

    _with_reader(server.app(), test)
    assert not server.runner.cancelled.is_set()


@pytest.mark.slow
def test_who_reads_slowly_gets_all_of_it(server: Any) -> None:
    """So slowly that the kernel takes nothing more for longer than the limit: it waits until a third was read."""
    server.runner.script = [*TEXTS]

    async def test(client: socket.socket, _web: uvicorn.Server) -> None:
        loop, received = asyncio.get_running_loop(), bytearray()
        client.send(_request())
        for _ in range(24):
            await asyncio.sleep(SEND_LIMIT_S / 6)
            received += await loop.sock_recv(client, RECEIVED_BYTES // 2)
        while not received.endswith(b"0\r\n\r\n"):
            data = await loop.sock_recv(client, 1 << 20)
            assert data, "it was cut off"
            received += data
        assert received.count(b"~") == "".join(TEXTS).count("~")

    _with_reader(server.app(), test)


def test_most_of_the_files_are_for_clients() -> None:
    assert most_connections() >= 512
