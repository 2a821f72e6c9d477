"""What makes a model of weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swell.models.weights import Weights
from swell.text.prompts.messages import Message


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """How a model uses its weights: the templates of their header, and what its Modelfile says.

    `template` is one in Go's language, which is only shown. `system`, `parameters` and `messages`, with which every
    conversation begins, are what a request doesn't say otherwise.
    """

    chat_template: str | None = None
    tools_template: str | None = None  # for requests with tools
    template: str = ""
    system: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    licenses: tuple[str, ...] = ()

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
