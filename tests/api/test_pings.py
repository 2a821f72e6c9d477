"""Streams of events that say nothing for long don't fall silent. Time passes at once here."""

import asyncio
import json
from typing import Any, NamedTuple

import pytest
from starlette.types import Message, Receive, Scope, Send
from tests.api.scripted import HANG, Pause
from tests.stories.client import Client
from tests.virtual_time import VirtualLoop

from swell.errors import PromptTooLongError

HI = [{"role": "user", "content": "Hi"}]
COMMENT = b": keep-alive\n\n"
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
EVENTS: dict[str, tuple[dict[str, Any], bytes]] = {
    "/v1/chat/completions": ({"messages": HI}, COMMENT),
    "/v1/completions": ({"prompt": "Hi"}, COMMENT),
    "/v1/responses": ({"input": "Hi"}, COMMENT),
    "/v1/messages": ({"messages": HI, "max_tokens": 5}, PING),
}
LINES: dict[str, dict[str, Any]] = {"/api/chat": {"messages": HI}, "/api/generate": {"prompt": "Hi"}}


class Sent(NamedTuple):
    """A part of an answer, and when it was sent: its head, or some of its body."""

    at_s: float
    message: Message

    @property
    def body(self) -> bytes:
        return bytes(self.message.get("body", b""))


def _ask(
    server: Any, path: str, body: dict[str, Any], script: list[object], *, begins_in_s: float = 0, **client: Any
) -> tuple[Client, list[Sent]]:
    """What a client gets, and that nothing is left behind. To send the head of the answer takes `begins_in_s`."""
    server.runner.script = script
    asker = Client("POST", path, {"model": "tiny", "stream": True, **body}, **client)
    sent: list[Sent] = []

    async def ask() -> None:
        app, loop = server.app(), asyncio.get_running_loop()

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    await asyncio.sleep(begins_in_s)
                sent.append(Sent(loop.time(), message))
                await send(message)

            await app(scope, receive, note)

        await asker.run(noted)
        assert server.scheduler.leases == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(ask())
    return asker, sent


@pytest.mark.parametrize("path", EVENTS)
def test_a_stream_begins_before_its_first_token_and_goes_on_until_the_next(server: Any, path: str) -> None:
    body, ping = EVENTS[path]
    client, sent = _ask(server, path, body, [Pause(40), "Hel", Pause(50), "lo"])

    assert [one.at_s for one in sent if one.message["type"] == "http.response.start"] == [15]
    at_s = [one.at_s for one in sent if one.body == ping]
    assert at_s == [15, 30, 60, 75]
    assert (client.status, client.is_whole) == (200, True)
    _, others = _ask(server, path, body, ["Hel", "lo"])
    assert _kinds([one for one in sent if one.body != ping]) == _kinds(others)


def _kinds(sent: list[Sent]) -> list[Any]:
    """What comes, without what is another time in every answer."""
    return [(one.message["type"], one.body.count(b"data:"), len(one.body) > 0) for one in sent]


@pytest.mark.parametrize("path", EVENTS)
def test_a_stream_that_is_never_silent_has_no_pings(server: Any, path: str) -> None:
    body, ping = EVENTS[path]
    _, sent = _ask(server, path, body, [Pause(14), "a", Pause(14), "b", Pause(14), "c"])
    assert ping not in [one.body for one in sent]


@pytest.mark.parametrize("path", LINES)
def test_lines_stay_lines(server: Any, path: str) -> None:
    client, sent = _ask(server, path, LINES[path], [Pause(40), "Hello"])
    assert sent[0].at_s == 40
    assert all(json.loads(line) for line in client.received.decode().removesuffix("\n").split("\n"))
    _, others = _ask(server, path, LINES[path], ["Hello"])
    assert _kinds(sent) == _kinds(others)


@pytest.mark.parametrize("path", LINES)
def test_a_long_silence_is_broken_by_lines_that_say_nothing(server: Any, path: str) -> None:
    client, sent = _ask(server, path, LINES[path], [Pause(110), "Hel", Pause(95), "lo"])
    assert [one.at_s for one in sent if one.message["type"] == "http.response.start"] == [50]
    lines = [json.loads(line) for line in client.received.decode().removesuffix("\n").split("\n")]
    texts = [line["message"]["content"] if path == "/api/chat" else line["response"] for line in lines]
    assert texts == ["", "", "Hel", "", "lo", ""]
    assert [line["done"] for line in lines] == [False] * 5 + [True]
    assert [one.at_s for one in sent if one.body] == [50, 100, 110, 200, 205, 205]


@pytest.mark.parametrize("path", LINES)
def test_an_error_after_a_line_that_says_nothing_is_a_line(server: Any, path: str) -> None:
    client, _ = _ask(server, path, LINES[path], [Pause(40), PromptTooLongError(7, 4)])
    assert client.status == 400
    client, _ = _ask(server, path, LINES[path], [Pause(60), PromptTooLongError(7, 4)])
    assert client.status == 200
    first, last = (json.loads(line) for line in client.received.decode().removesuffix("\n").split("\n"))
    assert (first["done"], list(last)) == (False, ["error"])


@pytest.mark.parametrize("path", EVENTS)
def test_an_error_has_a_status_before_the_first_ping_and_is_an_event_after_it(server: Any, path: str) -> None:
    body, ping = EVENTS[path]
    client, _ = _ask(server, path, body, [Pause(14), PromptTooLongError(7, 4)])
    assert client.status == 400
    client, sent = _ask(server, path, body, [Pause(16), PromptTooLongError(7, 4)])
    assert client.status == 200
    assert sent[1].body == ping
    words = b"prompt is too long: 7 tokens" if path == "/v1/messages" else b'"code":"context_length_exceeded"'
    assert words in sent[2].body
    assert client.is_whole


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("path", EVENTS)
def test_a_client_that_leaves_meanwhile_ends_its_work(server: Any, path: str, reads: bool) -> None:
    body, ping = EVENTS[path]
    client, _ = _ask(server, path, body, [Pause(25), HANG], patience_s=35, reads=reads)
    assert server.runner.cancelled.is_set()
    assert client.received == (ping * 2 if reads else b"")


@pytest.mark.parametrize("path", EVENTS)
def test_what_comes_while_a_ping_is_on_its_way_comes_after_it(server: Any, path: str) -> None:
    body, ping = EVENTS[path]
    client, sent = _ask(server, path, body, [Pause(16), "Hel", "lo"], begins_in_s=10)
    assert [one.at_s for one in sent[:3]] == [25, 25, 25]
    assert (sent[0].message["type"], sent[1].body) == ("http.response.start", ping)
    assert ping not in [one.body for one in sent[2:]]
    assert client.is_whole
