"""From the input items of /v1/responses to our messages."""

from typing import Any

import msgspec

from swell.api.http.json import encode
from swell.api.ollama.bodies import ChatBody
from swell.api.openai.bodies import ResponseRequest, TextFormat
from swell.api.openai.conversion import think_of
from swell.api.openai.messages import image_data, role_of, text_field, tool_call
from swell.api.openai.offered import custom_arguments, full_name, offered_tools
from swell.api.v1 import required_schema
from swell.errors import InvalidRequestError, UnsupportedError
from swell.text.prompts.messages import Message, ToolCall

_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_IGNORED = (
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "mcp_list_tools",
    "mcp_call",
    "additional_tools",
)
"""What tools have done that aren't offered here, and what only brings tools."""


def response_body(request: ResponseRequest) -> ChatBody:
    """Raises InvalidRequestError, and UnsupportedError for what only a server that keeps conversations can do."""
    for name in ("previous_response_id", "conversation", "background"):
        if getattr(request, name):
            raise UnsupportedError("swell", f"{name}; send the whole conversation as input")
    options = {
        "num_predict": request.max_output_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
    }
    instructions = [Message(role="system", content=request.instructions)] if request.instructions else []
    return ChatBody(
        model=request.model,
        messages=[*instructions, *input_messages(request.input)],
        tools=[offered.tool for offered in offered_tools(request).values()],
        stream=request.stream,
        format=_format(request.text.format),
        options={name: value for name, value in options.items() if value is not None},
        think=think_of(request.reasoning.effort),
    )


def _format(wanted: TextFormat) -> str | dict[str, Any] | None:
    match wanted.type:
        case "json_schema":
            return required_schema(wanted.schema)
        case "json_object":
            return "json"
    return None


def input_messages(value: object) -> list[Message]:
    """The field `input`, a text or items. Raises InvalidRequestError."""
    if isinstance(value, str) and value:
        return [Message(role="user", content=value)]
    if not isinstance(value, list) or not value:
        raise InvalidRequestError("input must be a text or a list of items, and not empty")
    reader = _ItemReader()
    for item in value:
        if not isinstance(item, dict):
            raise InvalidRequestError(f"an item of input must be an object, not {type(item).__name__}")
        reader.read(item)
    return reader.finish()


class _ItemReader:
    """Reads items in order. A thought is kept until the assistant's message or call it belongs to comes."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._thought = ""
        self._names: dict[str, str] = {}  # of the functions called so far, by the ids of the calls

    def read(self, item: dict[str, Any]) -> None:
        kind = item.get("type") or ("message" if "role" in item else None)
        match kind:
            case "message":
                self._read_message(item)
            case "function_call":
                self._read_call(item, item.get("arguments"))
            case "custom_tool_call":
                self._read_call(item, custom_arguments(text_field(item, "input")))
            case "function_call_output" | "custom_tool_call_output":
                self._read_output(item)
            case "reasoning":
                self._thought += _thought(item)
            case _ if kind not in _IGNORED:
                raise InvalidRequestError(f"unknown type of input item: {kind}")

    def finish(self) -> list[Message]:
        """All messages. A thought that nothing came of is a message of its own."""
        if self._thought:
            self._messages.append(Message(role="assistant", thinking=self._taken_thought()))
        return self._messages

    def _read_message(self, item: dict[str, Any]) -> None:
        text, images = _content(item.get("content"))
        role = role_of(text_field(item, "role"))
        thinking = self._taken_thought() if role == "assistant" else ""
        self._messages.append(Message(role=role, content=text, images=images, thinking=thinking))

    def _read_call(self, item: dict[str, Any], arguments: object) -> None:
        """Becomes part of the assistant's message before it."""
        last = self._messages[-1] if self._messages and not self._thought else None
        merges = last is not None and last.role == "assistant"
        message = last if last is not None and merges else Message(role="assistant", thinking=self._taken_thought())
        id, name = text_field(item, "call_id"), full_name(text_field(item, "namespace"), text_field(item, "name"))
        call: ToolCall = tool_call(len(message.tool_calls), id, name, arguments)
        self._names[id] = name
        message = msgspec.structs.replace(message, tool_calls=[*message.tool_calls, call])
        self._messages[len(self._messages) - merges :] = [message]

    def _read_output(self, item: dict[str, Any]) -> None:
        id = text_field(item, "call_id")
        output = item.get("output")
        text, images = (encode(output).decode(), []) if isinstance(output, dict) else _content(output)
        self._messages.append(
            Message(role="tool", content=text, images=images, tool_name=self._names.get(id, ""), tool_call_id=id)
        )

    def _taken_thought(self) -> str:
        thought, self._thought = self._thought, ""
        return thought


def _thought(item: dict[str, Any]) -> str:
    """What Swell has sent as `encrypted_content`, or the same from servers that leave that empty."""
    return text_field(item, "encrypted_content") or _content(item.get("content"))[0] or _content(item.get("summary"))[0]


def _content(value: object) -> tuple[str, list[str]]:
    """Text and images of a text or a list of parts."""
    if value is None:
        return "", []
    if isinstance(value, str):
        return value, []
    if not isinstance(value, list):
        raise InvalidRequestError(f"content must be a text or a list of parts, not {type(value).__name__}")
    texts, images = [], []
    for part in value:
        match part:
            case {"type": kind, "text": str(text)} if kind in _TEXTS:
                texts.append(text)
            case {"type": "input_image", "image_url": {"url": url} | str(url)}:
                images.append(image_data(url))
            case {"type": "refusal", "refusal": str(text)}:
                texts.append(text)
            case {"type": kind}:
                raise InvalidRequestError(f"unsupported type of content: {kind}")
            case _:
                raise InvalidRequestError("a part of a content must be an object with a type")
    return "".join(texts), images
