"""Request bodies of Anthropic's endpoints. What isn't listed is ignored; None is what wasn't given."""

from typing import Any

import msgspec


class InputMessage(msgspec.Struct, frozen=True, kw_only=True):
    """`content` is a text or a list of blocks."""

    role: str = ""
    content: Any = None


class InputTool(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is only given for tools that are no functions of the client, such as a web search."""

    type: str = "custom"
    name: str = ""
    description: str = ""
    input_schema: dict[str, Any] = {}


class Thinking(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to think. How many tokens that may take is ignored."""

    type: str = ""


class OutputFormat(msgspec.Struct, frozen=True, kw_only=True):
    """`schema` belongs to the type "json_schema"."""

    type: str = ""
    schema: dict[str, Any] | None = None


class OutputConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How hard to think, and in which form to answer."""

    effort: str = ""
    format: OutputFormat = OutputFormat()


class CountRequest(msgspec.Struct, kw_only=True):
    """POST /v1/messages/count_tokens. `system` is a text or a list of blocks; `output_format` is where the format was
    before `output_config`.
    """

    model: str = ""
    messages: list[InputMessage] = []
    system: Any = None
    tools: list[InputTool] = []
    tool_choice: Any = None
    thinking: Thinking = Thinking()
    output_config: OutputConfig = OutputConfig()
    output_format: OutputFormat = OutputFormat()


class MessagesRequest(CountRequest, kw_only=True):
    """POST /v1/messages."""

    max_tokens: int = 0
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] = []
    stream: bool = False
