"""What makes a model of weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swell.models.template_choice import Templates, choose
from swell.models.weights import Weights
from swell.store.config import ModelConfig
from swell.template_preference import TemplatePreference
from swell.text.chat_template import ChatTemplate, TemplateLanguage
from swell.text.prompts.messages import Message


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """How a model uses its weights: the templates of their header, and what its Modelfile says.

    `template` is one in Go's language; `preference` says which one is used if there is another one. `system`,
    `parameters` and `messages`, with which every conversation begins, are what a request doesn't say otherwise.
    `adapters` are added to the weights, each in full. `projectors` turn images into what the weights read, and `drafts`
    guess what they will write; these are only shown, and of `config` counts only whether it names a renderer or parser.
    """

    chat_template: str | None = None
    tools_template: str | None = None  # for requests with tools
    template: str = ""
    preference: TemplatePreference = TemplatePreference.AUTO
    system: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    licenses: tuple[str, ...] = ()
    adapters: tuple[Weights, ...] = ()
    projectors: tuple[Path, ...] = ()
    drafts: tuple[Path, ...] = ()
    config: ModelConfig = ModelConfig()

    def prompt_template(self, *, with_tools: bool = False) -> ChatTemplate | None:
        """The template that prompts are made with; None if there is none."""
        jinja = self.tools_template if with_tools else self.chat_template
        if self._language is TemplateLanguage.GO:
            return ChatTemplate(TemplateLanguage.GO, self.template)
        return None if jinja is None else ChatTemplate(TemplateLanguage.JINJA, jinja)

    @property
    def _language(self) -> TemplateLanguage:
        """Ollama has templates of its own for models that name a renderer or a parser; here they have Jinja's."""
        is_built_in = bool(self.config.renderer or self.config.parser)
        templates = Templates(go=self.template, jinja=self.chat_template, jinja_with_tools=self.tools_template)
        return choose(templates, TemplatePreference.JINJA if is_built_in else self.preference)

    def begin(self, messages: Sequence[Message]) -> Sequence[Message]:
        """A conversation of `messages` with what goes before it; its own system prompt replaces the model's."""
        has_system = bool(messages) and messages[0].is_system
        system = [Message(role="system", content=self.system)] if self.system and not has_system else []
        return [*system, *self.messages, *messages] if system or self.messages else messages

    @classmethod
    def from_header(cls, weights: Weights) -> "Manifest":
        """What the header of `weights` says. Some files have a template of its own for requests with tools."""
        template = weights.text("tokenizer.chat_template") or None
        return cls(chat_template=template, tools_template=weights.text("tokenizer.chat_template.tool_use") or template)
