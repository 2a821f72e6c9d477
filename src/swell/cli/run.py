"""`run`: one answer, or a conversation."""

import sys
from dataclasses import dataclass
from typing import Any

from swell.cli.answer import Answer, timings
from swell.cli.client import Client
from swell.cli.errors import UsageError
from swell.cli.names import clean
from swell.cli.replies import Chunk
from swell.durations import parse_duration_s

Think = bool | str
"""Whether to think, or how hard: one of THINK_LEVELS."""
THINK_LEVELS = ("low", "medium", "high", "max")


def parse_think(text: str) -> Think:
    """What `--think` and `/set think` accept. Raises UsageError."""
    if text in THINK_LEVELS:
        return text
    if text in ("true", "false"):
        return text == "true"
    raise UsageError(f'invalid think value: "{text}" (must be true, false, {", ".join(THINK_LEVELS[:-1])} or max)')


@dataclass(frozen=True)
class Run:
    """What to ask for and how to show it. `keep_alive` is a Go duration; `think` None leaves it to the model."""

    model: str
    keep_alive: str | None = None
    think: Think | None = None
    hide_thinking: bool = False
    verbose: bool = False
    wordwrap: bool = True

    def __post_init__(self) -> None:
        if self.keep_alive is not None:
            try:
                parse_duration_s(self.keep_alive)
            except ValueError as error:
                raise UsageError(str(error)) from error

    def request(self, **fields: Any) -> dict[str, Any]:
        """A request's body."""
        optional = {"keep_alive": self.keep_alive, "think": self.think}
        return {"model": self.model, **fields, **{name: value for name, value in optional.items() if value is not None}}

    def answer(self) -> Answer:
        """An answer that is shown as asked for."""
        return Answer(wordwrap=self.wordwrap, hide_thinking=self.hide_thinking)


def is_interactive(prompt: str) -> bool:
    """Whether a person wants to talk: no prompt, and a terminal on both sides."""
    return not prompt and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def read_prompt(words: list[str]) -> str:
    """What was piped to stdin, then the words, joined by a blank."""
    piped = ""
    if sys.stdin is not None and not sys.stdin.isatty():
        piped = sys.stdin.buffer.read().decode("utf-8", "replace")
    return " ".join([piped, *map(clean, words)] if piped else map(clean, words))


def load(client: Client, run: Run) -> None:
    """Load the model; returns when it is ready."""
    for _ in client.stream("/api/generate", run.request(prompt=""), Chunk):
        pass


def answer_once(client: Client, run: Run, prompt: str) -> None:
    """Show the answer to `prompt`; without one, just load the model."""
    if not prompt:
        load(client, run)
        return
    answer = run.answer()
    answer.show(client.stream("/api/generate", run.request(prompt=prompt), Chunk))
    if run.verbose:
        sys.stderr.write(timings(answer.last))
