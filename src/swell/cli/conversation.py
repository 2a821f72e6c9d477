"""A conversation: its settings, and what was said."""

import dataclasses
import sys
from dataclasses import dataclass, field
from typing import Any

import msgspec

from swell.cli.answer import timings
from swell.cli.attachments import attach
from swell.cli.client import Client
from swell.cli.errors import AnswerFailedError, RefusedError
from swell.cli.keyboard import Keyboard
from swell.cli.replies import ChatMessage, Chunk
from swell.cli.run import RunOptions


@dataclass
class ChatSession:
    """A conversation with a model. The `system` message stays when all others are forgotten."""

    client: Client
    keyboard: Keyboard
    run: RunOptions
    messages: list[ChatMessage] = field(default_factory=list)
    system: str = ""

    def change(self, **fields: Any) -> None:
        """Ask and show otherwise from now on; `fields` are those of `RunOptions`."""
        self.run = dataclasses.replace(self.run, **fields)

    def instruct(self, system: str) -> None:
        """Tell the model, from here on, what it is to be."""
        self.system = system
        if self.messages and self.messages[-1].role == "system":
            self.messages.pop()
        self.messages.append(ChatMessage("system", system))

    def clear(self) -> None:
        """Forget what was said."""
        self.messages = [ChatMessage("system", self.system)] if self.system else []

    def turn(self, text: str) -> None:
        """Show the answer to `text` and keep it, even if it was interrupted or broke off.

        Raises UsageError for a file in `text` that can't be read.
        """
        answer = self.run.answer()
        text, images = attach(self.client, self.run.model, text)
        messages = [*self.messages, ChatMessage("user", text, images=images)]
        body = self.run.question(messages=msgspec.to_builtins(messages))
        try:
            answer.show(self.client.stream("/api/chat", body, Chunk))
        except KeyboardInterrupt:
            print()
        except (RefusedError, AnswerFailedError) as error:
            print(f"Error: {error}\n", file=sys.stderr)
            if not answer.text:
                return
        if answer.text or answer.thoughts:
            messages.append(ChatMessage("assistant", answer.text, answer.thoughts))
        self.messages = messages
        if self.run.verbose:
            sys.stderr.write(timings(answer.last))
