"""A conversation carried on by a model: what native chat, OpenAI's and Anthropic's endpoints have in common."""

import dataclasses
import functools
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from swell.errors import PromptTooLongError
from swell.supervisor.leased import LeasedRunner
from swell.text.prompts.calls import call_schema
from swell.text.prompts.fitting import drop_oldest, fits
from swell.text.prompts.messages import Message, Tool
from swell.turns.completion import complete
from swell.turns.events import TurnEvent
from swell.turns.prompt import Prompt, tokenize_rendered
from swell.turns.recovery.recovery import retried
from swell.turns.rendering import Rendering
from swell.turns.request import TurnRequest
from swell.turns.services import Services


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


def converse(services: Services, request: TurnRequest, conversation: Conversation) -> AsyncGenerator[TurnEvent, None]:
    """Prompted, the parts of the model's turn as they come, and one Finish.

    Nothing is given before the model has written its first token, so what is wrong with a prompt is raised before.
    Raises RequestError, RunnerError, DecodeError or KvGrowError.
    """
    if conversation.must_call:
        request = dataclasses.replace(request, schema=call_schema(conversation.tools, conversation.must_call))
    return complete(services, request, ConversationPrompt(services, request, conversation))


async def count_tokens_of(services: Services, request: TurnRequest, conversation: Conversation) -> int:
    """The length of the whole prompt, whether it fits or not. Loads the model. Raises RequestError or RunnerError."""

    async def count(runner: LeasedRunner) -> int:
        prompt = ConversationPrompt(services, request, conversation)
        return await prompt.count(runner, None, prompt.messages)

    return await retried(services.recovery(request), count)


class ConversationPrompt:
    """Makes a conversation's prompt: all of its messages in the model's template, or the newest that fit."""

    def __init__(self, services: Services, request: TurnRequest, conversation: Conversation) -> None:
        self._conversation = conversation
        self.messages = request.model.manifest.begin(conversation.messages)
        self._rendering = Rendering(
            request.model,
            services.renderer,
            tools=conversation.tools,
            thinking=conversation.thinking,
            must_call=bool(conversation.must_call),
        )
        self._text = ""
        self._tokens: list[int] = []
        self._most_tokens = 0
        self._measured: Sequence[Message] = ()

    async def build(self, runner: LeasedRunner, window_tokens: int) -> Prompt:
        """The prompt, without the oldest messages if need be. Raises PromptTooLongError."""
        messages, count = self.messages, functools.partial(self.count, runner, window_tokens)
        kept = await drop_oldest(messages, window_tokens, count) if self._conversation.truncate else messages
        if kept is not self._measured:
            await count(kept)
        if not fits(len(self._tokens), window_tokens):
            raise PromptTooLongError(len(self._tokens), window_tokens)
        dropped_messages = len(messages) - len(kept)
        return self._rendering.prompt(
            self._text,
            self._tokens,
            dropped_messages=dropped_messages,
            dropped_tokens=self._most_tokens - len(self._tokens) if dropped_messages else 0,
        )

    async def count(self, runner: LeasedRunner, limit_tokens: int | None, messages: Sequence[Message]) -> int:
        """How many tokens the prompt of some messages has; if many more than `limit_tokens`, at least how many."""
        self._text, self._measured = await self._rendering.text(messages, runner.facts), messages
        self._tokens = await tokenize_rendered(runner, self._text, limit_tokens)
        self._most_tokens = max(self._most_tokens, len(self._tokens))  # in the end, those of all messages
        return len(self._tokens)
