"""What comes from servers of any kind, and what the commands make of it."""

import itertools
import json
import subprocess
from collections.abc import Callable

import pytest
from tests.cli.terminal import CTRL_C, Terminal

from swell.cli.client import Client
from swell.cli.live.feed import feed
from swell.cli.live.readings import FeedMessage, FirstReading, Gone, Happening, ServerReading
from swell.host import parse_host

Answers = dict[str, tuple[int, str]]
Environment = dict[str, str]
Swell = Callable[..., subprocess.CompletedProcess[str]]

ROW = {"name": "m:1b", "digest": "ab", "size": 3 * 10**9, "size_vram": 10**9, "context_length": 4096}
OLLAMAS = json.dumps({"models": [{**ROW, "expires_at": "2318-12-01T17:21:00Z"}]})
NUMBERS = (
    '{"at_s":1,"active":0,"models":[{"model":"m:1b","used_tokens":%d,"granted_tokens":256,"ceiling_tokens":4096}]}'
)
GROWN = '{"event":"window_grown","at_s":1,"model":"m:1b","slot":0,"from_tokens":0,"to_tokens":256,"granted_bytes":9}'
EVENTS = (
    f'event: snapshot\ndata: {{"now":{NUMBERS % 7},"history":[{{"at_s":1,"models":[["m:1b",1,2,3]]}}],"events":[]}}\n\n'
    f": keep-alive\n\nevent: lost\ndata: {{}}\n\nevent: numbers\ndata: {NUMBERS % 8}\n\nevent: event\ndata: {GROWN}\n\n"
)


def told(address: str, count: int) -> list[FeedMessage]:
    with Client(parse_host(address)) as client:
        return list(itertools.islice(feed(client, pause=lambda _: None), count))


def test_events_are_taken_as_they_come(address: str, answers: Answers) -> None:
    answers["GET /api/events"] = (200, EVENTS)
    messages = told(address, 5)
    assert [type(one) for one in messages] == [FirstReading, ServerReading, Happening, Gone, FirstReading]


def test_older_servers_are_asked_again_and_again(address: str, answers: Answers) -> None:
    answers["GET /api/ps"] = (200, OLLAMAS)
    first, second = told(address, 2)
    assert isinstance(first, FirstReading)
    assert isinstance(second, ServerReading)
    (model,) = second.models
    assert (model.model, model.ceiling_tokens, model.granted_tokens) == ("m:1b", 4096, None)
    assert (model.resident_bytes, model.device_bytes) == (2 * 10**9, 10**9)


@pytest.mark.parametrize("damaged", ["event: snapshot\ndata: {\n\n", "event: \xff\ndata: {}\n\n"])
def test_nonsense_is_no_server(address: str, answers: Answers, damaged: str) -> None:
    answers["GET /api/events"] = (200, damaged)
    assert isinstance(told(address, 2)[0], Gone)


def test_a_server_that_goes_comes_back(address: str, answers: Answers) -> None:
    answers["GET /api/events"] = (500, "")
    assert [type(one) for one in told(address, 2)] == [Gone, Gone]


def test_ps_as_json(swell: Swell, answers: Answers) -> None:
    answers["GET /api/ps"] = (200, OLLAMAS)
    result = swell("ps", "--json")
    (line,) = result.stdout.splitlines()
    shown = json.loads(line)
    assert (shown["model"], shown["digest"], shown["ceiling_tokens"]) == ("m:1b", "ab", 4096)
    assert "granted_tokens" not in shown
    assert swell("ps", "--json", "other").stdout == ""


@pytest.mark.parametrize("command", [("top",), ("ps", "--watch"), ("ps", "--watch", "--json"), ("ps", "--json")])
def test_without_a_server_there_is_nothing_to_watch(swell: Swell, command: tuple[str, ...]) -> None:
    result = swell(*command, host="127.0.0.1:1")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: could not connect to swell server")


@pytest.mark.parametrize("command", [("top",), ("ps", "-v", "--watch")])
def test_keys_and_sizes(environment: Environment, answers: Answers, command: tuple[str, ...]) -> None:
    answers["GET /api/events"] = (200, EVENTS + "<hang>")
    with Terminal(*command, environment={**environment, "PYTHONIOENCODING": "ascii"}) as terminal:
        terminal.until("> m:1b")
        terminal.until("[#==")
        terminal.until(" 8/256/4096")
        assert not terminal.echoes()
        terminal.type("s")
        terminal.until("sorted by memory")
        terminal.resize(40)
        terminal.until("  window   [#=")
        terminal.type("q")
        assert terminal.end() == 0
        terminal.until("\x1b[?1049l")
        assert terminal.echoes()


@pytest.mark.parametrize("command", [("top",), ("ps", "--watch")])
def test_an_interrupt_leaves_the_terminal_as_it_was(
    environment: Environment, answers: Answers, command: tuple[str, ...]
) -> None:
    answers["GET /api/ps"] = (200, OLLAMAS)
    with Terminal(*command, environment=environment) as terminal:
        terminal.until("m:1b")
        terminal.type(CTRL_C)
        assert terminal.end() == 130
        assert terminal.echoes()
        terminal.until("\x1b[?25h\x1b[?1049l")


def test_a_dumb_terminal_gets_lines(environment: Environment, answers: Answers) -> None:
    answers["GET /api/events"] = (200, EVENTS + "<hang>")
    with Terminal("top", environment={**environment, "TERM": "dumb"}) as terminal:
        shown = terminal.until("slot 0 grew from 0 to 256 tokens, 9 B")
        assert "m:1b: window 7/256/4096 tokens" in shown
        assert "\x1b" not in shown
        terminal.type(CTRL_C)
        assert terminal.end() == 130
