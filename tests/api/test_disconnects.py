"""A client that goes away ends its work, over a real connection."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from starlette.requests import ClientDisconnect
from tests.waiting import until

from swell.api.http.disconnects import while_connected

LIMIT_S = 10
HI = [{"role": "user", "content": "Hi"}]


async def _with_connection(
    server: Any,
    body: dict[str, object],
    use: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    path: str = "/api/generate",
) -> None:
    """Post `body` to a real server and hand the connection over."""
    config = uvicorn.Config(server.app(), port=0, log_level="critical", lifespan="on")
    listener = config.bind_socket()
    listener.listen()
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    web = uvicorn.Server(config)
    serving = asyncio.create_task(web.serve([listener]))
    try:
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        async with asyncio.timeout(LIMIT_S):
            await use(reader, writer)
    finally:
        writer.close()
        web.should_exit = True
        await serving
        listener.close()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("before", [[], ["a piece"]])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/generate", {"prompt": "Hi"}),
        ("/api/chat", {"messages": HI}),
        ("/v1/chat/completions", {"messages": HI}),
        ("/v1/chat/completions", {"messages": HI, "n": 3}),
        ("/v1/completions", {"prompt": "Hi"}),
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/messages", {"messages": HI, "max_tokens": 5}),
    ],
)
def test_a_client_that_leaves_cancels_its_generation(
    server: Any, hang: object, stream: bool, before: list[object], path: str, body: dict[str, object]
) -> None:
    server.runner.script = [*before, hang]

    async def leave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.runner.waiting.wait()
        writer.close()
        await server.runner.cancelled.wait()
        await until(lambda: not server.scheduler.leases, "the lease is given back")

    asyncio.run(_with_connection(server, {"model": "tiny", "stream": stream, **body}, leave, path))
    assert server.scheduler.calls[-1] == ("close",)


@pytest.mark.parametrize(("path", "text"), [("/api/embed", "input"), ("/api/embeddings", "prompt")])
def test_a_client_that_leaves_cancels_its_embedding(server: Any, path: str, text: str) -> None:
    server.runner.vector = None

    async def leave(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.runner.waiting.wait()
        writer.close()
        await server.runner.cancelled.wait()
        await until(lambda: not server.scheduler.leases, "the lease is given back")

    asyncio.run(_with_connection(server, {"model": "embed", text: "Hi"}, leave, path))


def test_lines_are_sent_as_they_come(server: Any, hang: object) -> None:
    server.runner.script = ["a piece", hang]

    async def read(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
        assert b"a piece" in await reader.readuntil(b'"done":false}\n')

    asyncio.run(_with_connection(server, {"model": "tiny", "prompt": "Hi"}, read))


async def _never() -> dict[str, object]:
    await asyncio.Event().wait()
    raise AssertionError


async def _gone() -> dict[str, object]:
    return {"type": "http.disconnect"}


def test_the_result_and_the_error_of_work() -> None:
    async def work() -> int:
        return 1 + 1

    async def fail() -> int:
        raise ZeroDivisionError

    assert asyncio.run(while_connected(_never, work())) == 2
    with pytest.raises(ZeroDivisionError):
        asyncio.run(while_connected(_never, fail()))


def test_work_is_waited_for_when_the_client_is_gone() -> None:
    steps = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    with pytest.raises(ClientDisconnect):
        asyncio.run(while_connected(_gone, work()))
    assert steps == ["cleaned up"]


def test_cancelling_the_request_cancels_the_work() -> None:
    async def cancel() -> bool:
        begun, cancelled = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        task = asyncio.create_task(while_connected(_never, work()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return cancelled.is_set()

    assert asyncio.run(cancel())


def test_work_that_cancels_itself_is_no_disconnect() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(while_connected(_never, work()))
