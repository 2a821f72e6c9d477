"""A single prompt, as /api/generate and /v1/completions take it: text with a template, as it is, or around a gap."""

from collections.abc import Sequence
from dataclasses import dataclass

from swell.errors import InvalidTemplateError, PromptTooLongError, UnshiftablePromptError
from swell.protocol.messages import Loaded
from swell.supervisor.leased import LeasedRunner
from swell.text.chat_template import ChatTemplate, TemplateLanguage
from swell.text.prompts.fitting import fits, truncate_around, truncate_tokens
from swell.text.prompts.messages import prompt_messages
from swell.turns.prompt import Prompt, tokenize_rendered
from swell.turns.rendering import Rendering
from swell.turns.request import TurnRequest
from swell.turns.services import Services


@dataclass(frozen=True, kw_only=True)
class TextCompletion:
    """What the prompt is made of.

    `prompt` and `system` are put in the model's template, or in `template`, one in Ollama's own language; with `raw`,
    `prompt` is taken as it is. With a `suffix` the model writes what belongs between `prompt` and that. `context` is
    what earlier turns gave: the tokens before this one. `thinking`: as of a conversation. `truncate`: what doesn't fit
    may be cut out.
    """

    prompt: str
    suffix: str = ""
    system: str = ""
    template: str = ""
    context: Sequence[int] = ()
    raw: bool = False
    thinking: bool | str | None = None
    truncate: bool = True


class TextCompletionPrompt:
    """Makes the prompt of a text completion."""

    def __init__(self, services: Services, request: TurnRequest, completion: TextCompletion) -> None:
        self._request = request
        self._completion = completion
        self._rendering = Rendering(
            request.model,
            services.renderer,
            thinking=completion.thinking,
            template=_go_template(completion.template) if completion.template else None,
        )
        self._text = ""
        self._turns: list[int] = []

    async def build(self, runner: LeasedRunner, window_tokens: int) -> Prompt:
        """The prompt, cut to fit if the request allows it."""
        if self._completion.suffix and (prompt := await self._gap(runner, window_tokens)) is not None:
            return prompt
        if self._completion.raw:
            tokens = await runner.tokenize(
                self._completion.prompt, add_special=True, parse_special=True, limit_tokens=window_tokens
            )
            kept = self._fitted(tokens, runner.facts, window_tokens)
            return Prompt(tokens=kept, dropped_tokens=len(tokens) - len(kept))
        tokens = await self._rendered(runner, window_tokens)
        kept = self._fitted(tokens, runner.facts, window_tokens)
        return self._rendering.prompt(self._text, kept, dropped_tokens=len(tokens) - len(kept))

    def context(self, output: Sequence[int]) -> list[int] | None:
        """The tokens of all turns up to here, for the next one. None for raw prompts and gaps."""
        return None if self._completion.raw or self._completion.suffix else [*self._turns, *output]

    def _fitted(self, tokens: list[int], facts: Loaded, window_tokens: int) -> list[int]:
        if fits(len(tokens), window_tokens):
            return tokens
        if not self._completion.truncate:
            raise PromptTooLongError(len(tokens), window_tokens)
        if not self._request.shifts:
            raise UnshiftablePromptError(len(tokens), window_tokens)
        return truncate_tokens(tokens, window_tokens, self._request.keep_tokens(facts))

    async def _rendered(self, runner: LeasedRunner, window_tokens: int) -> list[int]:
        """The request's own `context` goes before the new turn, but after the BOS that the tokenizer adds."""
        completion, facts, manifest = self._completion, runner.facts, self._request.model.manifest
        system = completion.system or manifest.system
        history = () if completion.context else manifest.messages
        messages = prompt_messages(completion.prompt, system, history)
        self._text = await self._rendering.text(messages, facts)
        tokens = await tokenize_rendered(runner, self._text, window_tokens)
        bos, turn = tokens[: facts.add_bos], tokens[facts.add_bos :]
        self._turns = [*completion.context, *turn]
        return self._turns if list(completion.context[: facts.add_bos]) == bos else bos + self._turns

    async def _gap(self, runner: LeasedRunner, window_tokens: int) -> Prompt | None:
        """The prompt for what belongs between `prompt` and `suffix`, by the template or by the model's own marks.

        None if there is neither.
        """
        completion = self._completion
        text = None if completion.raw else await self._rendering.gap(completion.prompt, completion.suffix)
        if text is not None:
            tokens = await tokenize_rendered(runner, text, window_tokens)
            kept = self._fitted(tokens, runner.facts, window_tokens)
            return Prompt(tokens=kept, dropped_tokens=len(tokens) - len(kept))
        marks = runner.facts.middle_tokens
        return None if marks is None else await self._around(runner, marks, window_tokens)

    async def _around(self, runner: LeasedRunner, marks: tuple[int, int, int], window_tokens: int) -> Prompt:
        """The prompt for what belongs between `prompt` and `suffix`; of text that is too long, the nearest stays."""
        before, after, middle = marks
        bos = (await runner.tokenize("", add_special=True, parse_special=False))[: runner.facts.add_bos]
        prefix, suffix = [
            await runner.tokenize(text, add_special=False, parse_special=False, limit_tokens=window_tokens)
            for text in (self._completion.prompt, self._completion.suffix)
        ]
        all_tokens = len(bos) + len(prefix) + len(suffix) + len(marks)
        if not fits(all_tokens, window_tokens):
            if not self._completion.truncate:
                raise PromptTooLongError(all_tokens, window_tokens)
            prefix, suffix = truncate_around(prefix, suffix, max(window_tokens // 2 - len(bos) - len(marks), 0))
        tokens = [*bos, before, *prefix, after, *suffix, middle]
        if not fits(len(tokens), window_tokens):
            raise PromptTooLongError(all_tokens, window_tokens)
        return Prompt(tokens=tokens, dropped_tokens=all_tokens - len(tokens))


def _go_template(text: str) -> ChatTemplate:
    """The template of a request. Raises InvalidTemplateError for one in Jinja."""
    if "{%" in text:
        raise InvalidTemplateError("it is in Jinja; templates in requests are in Go's language", 1)
    return ChatTemplate(TemplateLanguage.GO, text)
