"""From OpenAI's chat messages to ours."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from swell.errors import InvalidRequestError, UnsupportedError
from swell.server.api.images import checked_base64
from swell.server.api.openai.bodies import Call, ChatMessage
from swell.server.prompts.messages import Message, ToolCall, ToolFunction

_IMAGE_URL = re.compile(r"data:(?:image/(?:jpeg|jpg|png|webp))?;base64,(.*)", re.DOTALL)


def chat_messages(messages: Sequence[ChatMessage]) -> list[Message]:
    """Each part of a content becomes a message of its own, as in Ollama. Raises InvalidRequestError."""
    names: dict[str, str] = {}  # of the functions called so far, by the ids of the calls
    converted: list[Message] = []
    for message in messages:
        names |= {call.id: call.function.name for call in message.tool_calls if call.id}
        converted.extend(_converted(message, names))
    return converted


def tool_call(index: int, id: str, name: str, arguments: str) -> ToolCall:
    """A call whose `arguments` are JSON in a string; none at all are an empty object. Raises InvalidRequestError."""
    try:
        parsed = json.loads(arguments) if arguments.strip() else {}
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


def _converted(message: ChatMessage, names: dict[str, str]) -> Iterator[Message]:
    calls = [_call(index, call) for index, call in enumerate(message.tool_calls)]
    contents = _contents(message, has_calls=bool(calls))
    for number, (text, images) in enumerate(contents, start=1):
        is_last = number == len(contents)
        yield Message(
            role=role_of(message.role),
            content=text,
            images=images,
            thinking=message.reasoning if is_last else "",
            tool_calls=calls if is_last else [],
            tool_name=message.name or names.get(message.tool_call_id, "") if message.role.lower() == "tool" else "",
            tool_call_id=message.tool_call_id,
        )


def _contents(message: ChatMessage, *, has_calls: bool) -> list[tuple[str, list[str]]]:
    """Text and images of each part."""
    match message.content:
        case str():
            return [(message.content, [])]
        case None if has_calls:
            return [("", [])]
        case None:
            raise InvalidRequestError("invalid message content type: <nil>")
        case list():
            return [_part(part) for part in message.content] or [("", [])]
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
