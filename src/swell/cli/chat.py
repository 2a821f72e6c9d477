"""The conversation that `run` holds on a terminal."""

import sys
from collections.abc import Callable

import msgspec

from swell.cli.answer import Answer, timings
from swell.cli.client import Client
from swell.cli.errors import AnswerFailedError, RefusedError
from swell.cli.names import clean
from swell.cli.replies import Chunk, Message
from swell.cli.run import Run, load

PROMPT = ">>> "
HELP = """\
Available Commands:
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
            _command(text, history)
        elif text:
            _turn(client, run, history, text)


def enable_line_editing() -> None:
    """Give `input` the arrow keys and a history of this session's lines."""
    import readline  # noqa: F401 - importing it is what does it


def _command(text: str, history: list[Message]) -> None:
    if text == "/clear":
        history.clear()
        print("Cleared session context")
    elif text in ("/help", "/?"):
        print(HELP)
    else:
        print(f"Unknown command '{text.split()[0]}'. Type /? for help")


def _turn(client: Client, run: Run, history: list[Message], text: str) -> None:
    """Answer `text`. What the user saw stays in `history`, so an interrupted answer does too."""
    answer = Answer(wordwrap=run.wordwrap)
    messages = [*history, Message("user", text)]
    body = run.request(messages=msgspec.to_builtins(messages))
    try:
        answer.show(client.stream("/api/chat", body, Chunk))
    except KeyboardInterrupt:
        print()
    except (RefusedError, AnswerFailedError) as error:
        print(f"Error: {error}\n", file=sys.stderr)
        return
    if answer.text:
        messages.append(Message("assistant", answer.text))
    history[:] = messages
    if run.verbose:
        sys.stderr.write(timings(answer.last))
