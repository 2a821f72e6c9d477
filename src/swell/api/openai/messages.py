"""From OpenAI's chat messages to ours."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from swell.api.http.images import checked_base64
from swell.api.http.unicode import with_whole_pairs
from swell.api.openai.bodies import Call, ChatMessage
from swell.errors import InvalidRequestError, UnsupportedError
from swell.text.prompts.messages import Message, ToolCall, ToolFunction

_IMAGE_URL = re.compile(r"data:(?:image/(?:jpeg|jpg|png|webp))?;base64,(.*)", re.DOTALL)


def chat_messages(messages: Sequence[ChatMessage]) -> list[Message]:
    """The parts of a content stay one message. Raises InvalidRequestError."""
    names: dict[str, str] = {}  # of the functions called so far, by the ids of the calls
    converted: list[Message] = []
    for message in messages:
        names |= {call.id: call.function.name for call in message.tool_calls if call.id}
        converted.append(_converted(message, names))
    return converted


def tool_call(index: int, id: str, name: str, arguments: object) -> ToolCall:
    """A call whose `arguments` are an object, or JSON of one, or nothing. Raises InvalidRequestError."""
    parsed = _parsed(arguments) if isinstance(arguments, str) else {} if arguments is None else arguments
    if not isinstance(parsed, dict):
        raise InvalidRequestError("invalid tool call arguments")
    return ToolCall(id=id, function=ToolFunction(index=index, name=name, arguments=parsed))


def image_data(url: object) -> str:
    """The base64 in the data URL of an image. Raises InvalidRequestError."""
    if not isinstance(url, str):
        raise InvalidRequestError("invalid message format")
    if url.lower().startswith(("http://", "https://")):
        raise InvalidRequestError("image URLs are not currently supported, please use base64 encoded data instead")
    found = _IMAGE_URL.fullmatch(url)
    if found is None:
        raise InvalidRequestError("invalid image input")
    return checked_base64(found[1])


def text_field(item: Mapping[str, Any], name: str) -> str:
    """The field `name`, empty where it isn't given. Raises InvalidRequestError."""
    value = item.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} must be a text, not {type(value).__name__}")
    return value


def role_of(role: str) -> str:
    """What newer models of OpenAI call the developer's messages, chat templates know as the system's."""
    return "system" if role.lower() == "developer" else role


def _parsed(arguments: str) -> object:
    try:
        return json.loads(with_whole_pairs(arguments)) if arguments.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("invalid tool call arguments") from error


def _converted(message: ChatMessage, names: dict[str, str]) -> Message:
    calls = [_call(index, call) for index, call in enumerate(message.tool_calls)]
    parts = _parts(message)
    return Message(
        role=role_of(message.role),
        content="\n".join(part.text for part in parts if part.text),
        images=[image for part in parts for image in part.images],
        thinking=_thinking(message) or "".join(part.thinking for part in parts),
        tool_calls=calls,
        tool_name=message.name or names.get(message.tool_call_id, "") if message.role.lower() == "tool" else "",
        tool_call_id=message.tool_call_id,
    )


def _thinking(message: ChatMessage) -> str:
    return message.reasoning or message.reasoning_content


class _Part(NamedTuple):
    text: str = ""
    images: tuple[str, ...] = ()
    thinking: str = ""


def _parts(message: ChatMessage) -> list[_Part]:
    match message.content:
        case str():
            return [_Part(message.content)]
        case None if message.tool_calls or _thinking(message) or message.role.lower() == "tool":
            return []
        case None:
            raise InvalidRequestError("invalid message content type: <nil>")
        case list():
            return [_part(part) for part in message.content]
    raise InvalidRequestError(f"invalid message content type: {type(message.content).__name__}")


def _part(part: Any) -> _Part:
    match part:
        case {"type": "text" | "input_text" | "output_text", "text": str(text)}:
            return _Part(text)
        case {"type": "refusal", "refusal": str(text)}:
            return _Part(text)
        case {"type": "thinking", "thinking": str(thought)} | {"type": "reasoning", "text": str(thought)}:
            return _Part(thinking=thought)
        case {"type": "image_url", "image_url": {"url": url} | str(url)}:
            return _Part(images=(image_data(url),))
        case {"type": "input_audio"}:
            raise UnsupportedError("swell", "audio (input_audio)")
    raise InvalidRequestError("invalid message format")


def _call(index: int, call: Call) -> ToolCall:
    return tool_call(index, call.id, call.function.name, call.function.arguments)
