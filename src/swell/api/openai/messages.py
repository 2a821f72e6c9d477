"""From OpenAI's chat messages to ours."""

import json
import re
from collections.abc import Sequence
from typing import Any

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


def tool_call(index: int, id: str, name: str, arguments: str) -> ToolCall:
    """A call whose `arguments` are JSON in a string; none at all are an empty object. Raises InvalidRequestError."""
    try:
        parsed = json.loads(with_whole_pairs(arguments)) if arguments.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError("invalid tool call arguments") from error
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


def role_of(role: str) -> str:
    """What newer models of OpenAI call the developer's messages, chat templates know as the system's."""
    return "system" if role.lower() == "developer" else role


def _converted(message: ChatMessage, names: dict[str, str]) -> Message:
    calls = [_call(index, call) for index, call in enumerate(message.tool_calls)]
    parts = _parts(message, has_calls=bool(calls))
    return Message(
        role=role_of(message.role),
        content="\n".join(text for text, _ in parts if text),
        images=[image for _, images in parts for image in images],
        thinking=message.reasoning,
        tool_calls=calls,
        tool_name=message.name or names.get(message.tool_call_id, "") if message.role.lower() == "tool" else "",
        tool_call_id=message.tool_call_id,
    )


def _parts(message: ChatMessage, *, has_calls: bool) -> list[tuple[str, list[str]]]:
    """Text and images of each part."""
    match message.content:
        case str():
            return [(message.content, [])]
        case None if has_calls:
            return []
        case None:
            raise InvalidRequestError("invalid message content type: <nil>")
        case list():
            return [_part(part) for part in message.content]
    raise InvalidRequestError(f"invalid message content type: {type(message.content).__name__}")


def _part(part: Any) -> tuple[str, list[str]]:
    match part:
        case {"type": "text", "text": str(text)}:
            return text, []
        case {"type": "image_url", "image_url": {"url": url} | str(url)}:
            return "", [image_data(url)]
        case {"type": "input_audio"}:
            raise UnsupportedError("swell", "audio (input_audio)")
    raise InvalidRequestError("invalid message format")


def _call(index: int, call: Call) -> ToolCall:
    return tool_call(index, call.id, call.function.name, call.function.arguments)
