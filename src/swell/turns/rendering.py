"""Messages as the model's chat template writes them, and the parser for what the model answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from swell.models.model import Model
from swell.protocol.messages import Loaded
from swell.sandbox.renderer import Renders
from swell.sandbox.rendering_jobs import Render, RenderGap, RenderGo, RenderJob
from swell.text.chat_template import ChatTemplate, TemplateLanguage
from swell.text.parsing.dialect import Dialect, ForcedCall
from swell.text.parsing.parser import Chain, Parser, WithoutThoughts
from swell.text.prompts.messages import Message, Tool
from swell.text.prompts.template import without_template
from swell.turns.prompt import Prompt


class Rendering:
    """Renders messages with a model's chat template, or with `template`; the answer is read as the model writes it.

    A model that can think does so unless `thinking` is False. `must_call`: the answer is a call of one of the tools.
    """

    def __init__(
        self,
        model: Model,
        renderer: Renders,
        *,
        tools: Sequence[Tool] = (),
        thinking: bool | str | None = None,
        must_call: bool = False,
        template: ChatTemplate | None = None,
    ) -> None:
        own = model.template(with_tools=bool(tools))
        self._template = own if template is None else template
        self._fills_gaps = template is not None or (own is not None and own.fills_gaps)
        self._dialect = Dialect() if own is None else own.dialect
        self._renderer = renderer
        self._tools = tools
        self._schemas = {tool.function.name: tool.function.parameters for tool in tools}
        self._thinking = True if thinking is None and self._dialect.thinks else thinking
        self._must_call = must_call

    async def text(self, messages: Sequence[Message], facts: Loaded) -> str:
        """The prompt; a last message of the assistant is its beginning of the answer.

        Raises InvalidRequestError if the template refuses the messages.
        """
        if self._template is None:
            return without_template(messages)
        begun = messages[-1].content if messages and messages[-1].is_begun_answer else None
        job = self._job(self._template, list(messages if begun is None else messages[:-1]), facts)
        text = await self._renderer.render(job)
        text = text if self._thinking else self._dialect.without_thinking(text)
        return self._dialect.continued(text, begun) if begun else text

    async def gap(self, prompt: str, suffix: str) -> str | None:
        """The prompt for what belongs between two texts; None if the model's own template writes no such prompts.

        Raises InvalidRequestError or InvalidTemplateError if the template fails.
        """
        if self._template is None or not self._fills_gaps:
            return None
        job = RenderGap(template=self._template.text, prompt=prompt, suffix=suffix, thinking=self._thinking)
        return await self._renderer.render(job)

    def _job(self, template: ChatTemplate, messages: list[Message], facts: Loaded) -> RenderJob:
        if template.language is TemplateLanguage.GO:
            return RenderGo(template=template.text, messages=messages, tools=list(self._tools), thinking=self._thinking)
        return Render(
            template=template.text,
            messages=messages,
            bos_token=facts.bos_text,
            eos_token=facts.eos_text,
            tools=[tool.for_template() for tool in self._tools],
            thinking=self._thinking,
        )

    def prompt(self, text: str, tokens: list[int], *, dropped_messages: int = 0, dropped_tokens: int = 0) -> Prompt:
        """The prompt of the rendered `text`. `tokens` are its tokens, or what was left of them."""
        return Prompt(
            tokens=tokens,
            parser=self._parser(text),
            preamble=self._dialect.preamble(text, thinking=bool(self._thinking)),
            visible=self._dialect.controls(self._called_freely),
            dropped_messages=dropped_messages,
            dropped_tokens=dropped_tokens,
        )

    @property
    def _called_freely(self) -> Mapping[str, Mapping[str, Any]]:
        """The tools that the model may call in its own way."""
        return {} if self._must_call else self._schemas

    def _parser(self, text: str) -> Parser:
        parser = self._dialect.parser(text, self._called_freely)
        if self._dialect.thinks and not self._thinking:
            parser = WithoutThoughts(parser)
        return Chain(parser, ForcedCall(self._schemas)) if self._must_call else parser
