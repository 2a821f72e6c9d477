"""What answers of /v1/messages are made of."""

from typing import Any

import msgspec


class Usage(msgspec.Struct, kw_only=True):
    input_tokens: int
    output_tokens: int


class ThinkingBlock(msgspec.Struct, kw_only=True):
    """A thought. The signature is always empty: clients require the field, but nothing is signed here."""

    type: str = "thinking"
    thinking: str = ""
    signature: str = ""


class TextBlock(msgspec.Struct, kw_only=True):
    type: str = "text"
    text: str = ""


class ToolUseBlock(msgspec.Struct, kw_only=True):
    type: str = "tool_use"
    id: str
    name: str
    input: dict[str, Any]


Block = ThinkingBlock | TextBlock | ToolUseBlock


class Message(msgspec.Struct, kw_only=True):
    """A whole answer, or an empty one at the beginning of a stream."""

    id: str
    type: str = "message"
    role: str = "assistant"
    model: str
    content: list[Block] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Usage


class TokenCount(msgspec.Struct):
    """The answer of /v1/messages/count_tokens."""

    input_tokens: int
