"""What makes a model of weights."""

from dataclasses import dataclass

from swell.models.weights import Weights


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """How a model uses its weights. All of it comes from their header so far; what a Modelfile says (a template, a
    system prompt, parameters, adapters, a projector) belongs here, too."""

    chat_template: str | None = None
    tools_template: str | None = None  # for requests with tools

    @classmethod
    def from_header(cls, weights: Weights) -> "Manifest":
        """What the header of `weights` says. Some files have a template of its own for requests with tools."""
        template = weights.text("tokenizer.chat_template") or None
        return cls(chat_template=template, tools_template=weights.text("tokenizer.chat_template.tool_use") or template)
