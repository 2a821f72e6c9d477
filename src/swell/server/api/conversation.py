"""A conversation carried on by a model: what native chat, OpenAI's and Anthropic's endpoints have in common."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple

from swell.errors import PromptTooLongError
from swell.server.api.completion import Finish, Job, complete, tokenize_rendered
from swell.server.generation import Piece
from swell.server.parsing.parts import Part, Text
from swell.server.prompts.fitting import drop_oldest, fits
from swell.server.prompts.messages import Message, Tool
from swell.server.prompts.template import render
from swell.server.runner import Runner


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What to carry on, and how.

    `thinking`: whether to think, or how hard ("low" to "max"); None is what the model does by itself. `truncate`: the
    oldest messages may be dropped if all don't fit. `must_call` names tools of which exactly one has to be called, and
    nothing else be answered; empty: the model is free.
    """

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    thinking: bool | str | None = None
    truncate: bool = True
    must_call: Sequence[str] = ()


class Prompted(NamedTuple):
    """The prompt was read. Its length counts what was cached; dropped are the messages that didn't fit."""

    prompt_tokens: int
    dropped_messages: int


async def converse(job: Job, conversation: Conversation) -> AsyncGenerator[Prompted | Part | Finish, None]:
    """Prompted, the parts of the model's turn as they come, and one Finish.

    Nothing is given before the model has written its first token, so what goes wrong with a prompt is raised before.
    Raises RequestError, RunnerError, DecodeError or KvGrowError.
    """
    prompt = _Prompt(job, conversation)
    prompted = False
    async with aclosing(complete(job, prompt.build)) as events:
        async for event in events:
            if not prompted:
                prompted = True
                yield Prompted(len(prompt.tokens), prompt.dropped_messages)
            yield Text(event.text, event.likelihoods) if isinstance(event, Piece) else event


class _Prompt:
    """A conversation's prompt, made once the runner is known, which tokenises it."""

    def __init__(self, job: Job, conversation: Conversation) -> None:
        self._job = job
        self._conversation = conversation
        self.tokens: list[int] = []
        self.dropped_messages = 0

    async def build(self, runner: Runner, window_tokens: int) -> list[int]:
        """The tokens, without the oldest messages if need be. Raises PromptTooLongError."""
        messages, measured = self._conversation.messages, None

        async def count(some: Sequence[Message]) -> int:
            nonlocal measured
            text = render(
                self._job.model.chat_template,
                [message.for_template() for message in some],
                bos_token=runner.facts.bos_text,
                eos_token=runner.facts.eos_text,
                enable_thinking=None if self._conversation.thinking is None else bool(self._conversation.thinking),
            )
            self.tokens, measured = await tokenize_rendered(runner, text), some
            return len(self.tokens)

        kept = await drop_oldest(messages, window_tokens, count) if self._conversation.truncate else messages
        if kept is not measured:
            await count(kept)
        if not fits(len(self.tokens), window_tokens):
            raise PromptTooLongError(len(self.tokens), window_tokens)
        self.dropped_messages = len(messages) - len(kept)
        return self.tokens
