"""A prompt as a runner computes it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from swell.sampling import ThinkingPreamble
from swell.supervisor.leased import LeasedRunner
from swell.text.parsing.parser import Parser, Plain


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a model gets, and how to read what it writes then.

    `preamble`: what may stand before output that must follow a schema. `visible`: control tokens that `parser` has to
    see. The dropped messages and tokens are those that didn't fit.
    """

    tokens: list[int]
    parser: Parser = field(default_factory=Plain)
    preamble: ThinkingPreamble | None = None
    visible: Sequence[str] = ()
    dropped_messages: int = 0
    dropped_tokens: int = 0


class PromptBuilder(Protocol):
    """Makes a request's prompt once the runner is known, which tokenises it."""

    async def build(self, runner: LeasedRunner, window_tokens: int) -> Prompt:
        """The prompt for a window of that many tokens; raises a RequestError if it can't be made to fit."""


async def tokenize_rendered(runner: LeasedRunner, text: str, limit_tokens: int | None) -> list[int]:
    """The tokens of a rendered template. It may begin with the BOS text that the tokenizer adds itself: not twice.

    For `limit_tokens` see `Runner.tokenize`.
    """
    if runner.facts.add_bos and runner.facts.bos_text:
        text = text.removeprefix(runner.facts.bos_text)
    return await runner.tokenize(text, add_special=True, parse_special=True, limit_tokens=limit_tokens)
