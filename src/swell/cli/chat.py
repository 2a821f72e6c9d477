"""The conversation that `run` holds on a terminal."""

import sys

from swell.cli.client import Client
from swell.cli.commands import obey
from swell.cli.conversation import ChatSession
from swell.cli.errors import AnswerFailedError, RefusedError, UsageError
from swell.cli.keyboard import Keyboard, LineDropped
from swell.cli.multiline import complete
from swell.cli.run import RunOptions, load

PROMPT = ">>> "


def converse(client: Client, run: RunOptions, keyboard: Keyboard) -> None:
    """Read messages and show answers until `/bye` or the end of input; the model is loaded first."""
    load(client, run)
    conversation = ChatSession(client, keyboard, run)
    while True:
        try:
            line = keyboard.read_line(PROMPT)
            if line.startswith("/"):
                if line.split()[0] in ("/bye", "/exit"):
                    return
                obey(line, conversation)
            else:
                text = complete(line, keyboard.read_line)
                if text.strip():
                    conversation.turn(text)
        except EOFError:
            print()
            return
        except LineDropped:
            print()
        except KeyboardInterrupt:
            print("\nUse Ctrl + d or /bye to exit.")
        except (RefusedError, AnswerFailedError, UsageError) as error:
            print(f"Error: {error}\n", file=sys.stderr)
