"""Chat messages as clients send them and as templates want them."""

import copy
from collections.abc import Sequence
from typing import Any

import msgspec


class ToolFunction(msgspec.Struct, frozen=True, kw_only=True):
    """The function that a model called. The arguments are an object, never a string with JSON in it."""

    index: int = 0
    name: str = ""
    arguments: dict[str, Any] = {}


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call in an assistant's message."""

    id: str = ""
    function: ToolFunction = ToolFunction()


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A function that a model may call; `parameters` is a JSON schema of its arguments."""

    name: str = ""
    description: str = ""
    parameters: dict[str, Any] = {}


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool in a request."""

    type: str = "function"
    function: ToolSpec = ToolSpec()

    def for_template(self) -> dict[str, object]:
        """The tool under the names that chat templates use. They expect a schema to have its type and properties."""
        function = self.function
        parameters = {"type": "object", "properties": {}, **copy.deepcopy(function.parameters)}
        fields = {"name": function.name, "description": function.description, "parameters": parameters}
        return {"type": self.type, "function": fields}


def plainly_typed(value: Any) -> Any:
    """A tool, or a part of one, with a single type where there may be several, with one of what an object holds, and
    with a description of each argument.

    Some templates (of Hermes and Command R+) translate types, and know no others.
    """
    if isinstance(value, list):
        return [plainly_typed(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: plainly_typed(item) for key, item in value.items()}
    if isinstance(types := value.get("type"), list):
        plain["type"] = next((name for name in types if name != "null"), "string")
    if plain.get("type") == "object" and not isinstance(value.get("additionalProperties"), dict):
        plain["additionalProperties"] = {"type": "string"}
    if isinstance(arguments := plain.get("properties"), dict):
        plain["properties"] = {
            name: {"description": "", **one} if isinstance(one, dict) else one for name, one in arguments.items()
        }
    return plain


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `images` are base64; `tool_name` and `tool_call_id` belong to the role "tool"."""

    role: str = ""
    content: str = ""
    thinking: str = ""
    images: list[str] = []
    tool_calls: list[ToolCall] = []
    tool_name: str = ""
    tool_call_id: str = ""

    @property
    def is_system(self) -> bool:
        """Whether it is a system message, also by OpenAI's newer name for the role, which templates don't know."""
        return self.role.lower() in ("system", "developer")

    @property
    def is_begun_answer(self) -> bool:
        """Whether the model carries this message on if it is the last one: the assistant's, unless it calls tools."""
        return self.role.lower() == "assistant" and not self.tool_calls


def prompt_messages(prompt: str, system: str, history: Sequence[Message] = ()) -> list[Message]:
    """A prompt of /api/generate as a conversation of one turn, after `history`."""
    first = [Message(role="system", content=system)] if system else []
    return [*first, *history, Message(role="user", content=prompt)]
