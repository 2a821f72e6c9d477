"""The conversation that `run` holds on a terminal."""

import dataclasses
import sys
from collections.abc import Callable

import msgspec

from swell.cli.answer import timings
from swell.cli.client import Client
from swell.cli.errors import AnswerFailedError, RefusedError
from swell.cli.names import clean
from swell.cli.replies import Chunk, Message
from swell.cli.run import THINK_VALUES, Run, load

PROMPT = ">>> "
HELP = """\
Available Commands:
  /set think      Let the model think; a level may follow (low, medium, high, max)
  /set nothink    Don't let the model think
  /clear          Clear session context
  /bye            Exit
  /?, /help       Show this help
"""


def converse(client: Client, run: Run, read_line: Callable[[str], str] = input) -> None:
    """Read messages and show answers until `/bye` or the end of input; the model is loaded first.

    `read_line` gets the prompt to show and raises EOFError or KeyboardInterrupt, as `input` does.
    """
    load(client, run)
    history: list[Message] = []
    while True:
        try:
            text = clean(read_line(PROMPT)).strip()
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print("\nUse Ctrl + d or /bye to exit.")
            continue
        if text in ("/bye", "/exit"):
            return
        if text.startswith("/"):
            run = _command(text, run, history)
        elif text:
            _turn(client, run, history, text)


def enable_line_editing() -> None:
    """Give `input` the arrow keys and a history of this session's lines."""
    import readline  # noqa: F401 - importing it is what does it


def _command(text: str, run: Run, history: list[Message]) -> Run:
    """Obey a line that begins with a slash; returns how to ask from now on."""
    match text.split():
        case ["/clear"]:
            history.clear()
            print("Cleared session context")
        case ["/help" | "/?"]:
            print(HELP)
        case ["/set", "think"]:
            print("Set 'think' mode.")
            return dataclasses.replace(run, think=True)
        case ["/set", "think", level]:
            return _set_think(run, level)
        case ["/set", "nothink"]:
            print("Set 'nothink' mode.")
            return dataclasses.replace(run, think=False)
        case ["/set", *_]:
            print(f"Unknown command '{text}'. Type /? for help")
        case [command, *_]:
            print(f"Unknown command '{command}'. Type /? for help")
    return run


def _set_think(run: Run, level: str) -> Run:
    if level not in THINK_VALUES:
        values = '"high", "medium", "low", "max", true, or false'
        print(f'Error: invalid think value: "{level}" (must be {values})', file=sys.stderr)
        return run
    changed = dataclasses.replace(run, think=THINK_VALUES[level])
    print("Set 'think' mode." if changed.think else "Set 'nothink' mode.")
    return changed


def _turn(client: Client, run: Run, history: list[Message], text: str) -> None:
    """Answer `text`. What came stays in `history`, so an answer that was interrupted or broke off does too."""
    answer = run.answer()
    messages = [*history, Message("user", text)]
    body = run.question(messages=msgspec.to_builtins(messages))
    try:
        answer.show(client.stream("/api/chat", body, Chunk))
    except KeyboardInterrupt:
        print()
    except (RefusedError, AnswerFailedError) as error:
        print(f"Error: {error}\n", file=sys.stderr)
        if not answer.text:
            return
    if answer.text or answer.thoughts:
        messages.append(Message("assistant", answer.text, answer.thoughts))
    history[:] = messages
    if run.verbose:
        sys.stderr.write(timings(answer.last))
