"""`top`, and `ps` that goes on: from the server to the terminal."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import NoReturn

from swell.cli.client import Client
from swell.cli.errors import CommandError
from swell.cli.fitting import fitted
from swell.cli.listing import list_running
from swell.cli.live.bars import glyphs_for
from swell.cli.live.feed import POLL_S, feed
from swell.cli.live.keys import HELP, Key
from swell.cli.live.lines import json_lines, model_json, plain_lines
from swell.cli.live.polling import poll
from swell.cli.live.readings import FeedMessage, FirstReading, ServerReading
from swell.cli.live.terminal import LiveTerminal, is_terminal
from swell.cli.live.view import Canvas, drawn, view
from swell.cli.live.watching import Watching
from swell.host import HostAddress

Lines = Callable[[Watching, Watching, FeedMessage], Iterator[str]]

_TICK_S = 1.0
"""The chart moves so often, even while nothing happens."""
_NO_KEYS = "Ctrl-C quits"


def top(address: HostAddress, prefix: str) -> None:
    """Show the models whose names begin with `prefix` until the user quits; in lines if stdout is no terminal.

    Raises NoServerError if there is no server at the beginning.
    """
    if is_terminal():
        with Client(address) as client:
            client.heartbeat()
        with LiveTerminal() as terminal:
            _show(terminal, address, Watching(prefix))
    else:
        _print(address, prefix, plain_lines)


def watch_as_json(address: HostAddress, prefix: str) -> None:
    """Print an object whenever a model changes, and for what happens, without end."""
    _print(address, prefix, json_lines)


def print_as_json(client: Client, prefix: str) -> None:
    """Print an object for each loaded model."""
    client.heartbeat()
    watching = Watching(prefix).told(poll(client).reading)
    for model in watching.models:
        print(model_json(model, watching.reading.at_s if watching.reading else 0.0))


def watch_table(client: Client, prefix: str) -> None:
    """Show the table of loaded models again and again; elsewhere than at a terminal, whenever it has changed."""
    client.heartbeat()
    if not is_terminal():
        _print_tables(client, prefix)
    with LiveTerminal() as terminal:
        keys: list[Key] = []
        while Key.QUIT not in keys:
            columns, rows = terminal.size
            lines = _table(client, prefix).splitlines()
            terminal.draw([fitted(line, columns) for line in lines[:rows]])
            keys = terminal.wait(POLL_S)


def _show(terminal: LiveTerminal, address: HostAddress, watching: Watching) -> None:
    messages = SimpleQueue[FeedMessage]()

    def listen() -> None:
        with Client(address) as client:
            for message in feed(client):
                messages.put(message)
                terminal.wake()

    threading.Thread(target=listen, name="feed", daemon=True).start()
    heard_s = time.monotonic()
    while True:
        _draw(terminal, address, watching, time.monotonic() - heard_s)
        for key in terminal.wait(_TICK_S):
            if key is Key.QUIT:
                return
            watching = _obeyed(key, watching)
        while not messages.empty():
            message = messages.get()
            watching = watching.told(message)
            if isinstance(message, FirstReading | ServerReading):
                heard_s = time.monotonic()


def _obeyed(key: Key, watching: Watching) -> Watching:
    match key:
        case Key.UP:
            return watching.choosing(-1)
        case Key.DOWN:
            return watching.choosing(1)
        case _:
            return watching.sorted_otherwise()


def _draw(terminal: LiveTerminal, address: HostAddress, watching: Watching, silent_s: float) -> None:
    columns, rows = terminal.size
    keys = HELP if terminal.has_keyboard else _NO_KEYS
    canvas = Canvas(columns, rows, glyphs_for(sys.stdout.encoding), address.url, keys, silent_s)
    has_colours = not os.environ.get("NO_COLOR")
    terminal.draw([drawn(row, columns, has_colours=has_colours) for row in view(watching, canvas)])


def _print(address: HostAddress, prefix: str, lines: Lines) -> NoReturn:
    """Print what is news, until the program is ended."""
    watching = Watching(prefix)
    with Client(address) as client:
        client.heartbeat()
        for message in feed(client):
            before, watching = watching, watching.told(message)
            for line in lines(before, watching, message):
                print(line, flush=True)
    raise AssertionError("a feed has no end")


def _print_tables(client: Client, prefix: str) -> NoReturn:
    shown = ""
    while True:
        if (text := _table(client, prefix)) != shown:
            print(text, flush=True)
        shown = text
        time.sleep(POLL_S)


def _table(client: Client, prefix: str) -> str:
    """The table, or why there is none now."""
    try:
        return list_running(client, prefix, verbose=False)
    except CommandError as error:
        return f"no server, trying again: {error}\n"
