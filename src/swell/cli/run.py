"""`run`: its options, the requests made of them, and a single answer."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from swell.cli.answer import Answer, timings
from swell.cli.attachments import attach
from swell.cli.client import Client
from swell.cli.errors import UsageError
from swell.cli.names import clean
from swell.cli.replies import Chunk
from swell.durations import parse_duration_s

Think = bool | str
"""Whether to think, or how hard."""
THINK_VALUES: dict[str, Think] = {
    "true": True,
    "false": False,
    **{level: level for level in ("high", "medium", "low", "max")},
}

Format = str | dict[str, Any]
"""What the answer must be: "json", or a JSON schema."""


def parse_think(text: str) -> Think:
    """What `--think` accepts; "" is true. Raises UsageError."""
    if text and text not in THINK_VALUES:
        values = ", ".join([*list(THINK_VALUES)[:-1], f"or {list(THINK_VALUES)[-1]}"])
        raise UsageError(f'invalid value for --think: "{text}" (must be {values})')
    return THINK_VALUES.get(text, True)


def parse_format(text: str) -> Format | None:
    """What `--format` accepts; None for "", which is free text. Raises UsageError."""
    if text in ("", "json"):
        return text or None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UsageError(f'invalid format: "{text}"; expected "json" or a valid JSON Schema object') from error


@dataclass(frozen=True)
class RunOptions:
    """What to ask for and how to show it. `keep_alive` is a Go duration; `think` None leaves it to the model."""

    model: str
    keep_alive: str | None = None
    think: Think | None = None
    hide_thinking: bool = False
    verbose: bool = False
    wordwrap: bool = True
    format: Format | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.keep_alive:
            try:
                parse_duration_s(self.keep_alive)
            except ValueError as error:
                raise UsageError(str(error)) from error

    def request(self, **fields: Any) -> dict[str, Any]:
        """A request's body; `fields` that are None are left out."""
        given = {"keep_alive": self.keep_alive or None, "options": dict(self.options) or None, **fields}
        return {"model": self.model, **{name: value for name, value in given.items() if value is not None}}

    def question(self, **fields: Any) -> dict[str, Any]:
        """The body of a request for an answer, with `fields` as in `request`."""
        return self.request(think=self.think, format=self.format, **fields)

    def answer(self) -> Answer:
        """An answer that is shown as the options say."""
        return Answer(wordwrap=self.wordwrap, hide_thinking=self.hide_thinking)


def is_conversation(words: Sequence[str]) -> bool:
    """Whether a person wants to talk: no prompt among the arguments, and a terminal on both sides."""
    return not words and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def read_prompt(words: Sequence[str]) -> str:
    """What was piped to stdin, then the words, joined by a blank."""
    piped = ""
    if sys.stdin is not None and not sys.stdin.isatty():
        piped = sys.stdin.buffer.read().decode("utf-8", "replace")
    return " ".join([piped, *map(clean, words)] if piped else map(clean, words))


def load(client: Client, run: RunOptions) -> None:
    """Load the model; returns when it is ready."""
    for _ in client.stream("/api/generate", run.request(prompt="", think=run.think), Chunk):
        pass


def answer_once(client: Client, run: RunOptions, prompt: str) -> None:
    """Show the answer to `prompt`; without one, just load the model.

    An interrupt ends the answer where it is and is no failure, as with Ollama.
    """
    answer = run.answer()
    try:
        if prompt:
            text, images = attach(client, run.model, prompt)
            answer.show(client.stream("/api/generate", run.question(prompt=text, images=images or None), Chunk))
        else:
            load(client, run)
    except KeyboardInterrupt:
        return
    if run.verbose:
        sys.stderr.write(timings(answer.last))
