"""What answers of /v1/messages are made of."""

from typing import Any, Self

import msgspec


class Usage(msgspec.Struct, kw_only=True):
    """Tokens read and written. Clients add up the three kinds of input."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0

    @classmethod
    def of(cls, prompt_tokens: int, cached_tokens: int, output_tokens: int) -> Self:
        return cls(
            input_tokens=prompt_tokens - cached_tokens,
            cache_read_input_tokens=cached_tokens,
            output_tokens=output_tokens,
        )


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
