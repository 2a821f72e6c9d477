"""From Anthropic's bodies to Ollama's."""

import re
from collections.abc import Sequence
from typing import Any

from swell.api.anthropic.bodies import CountRequest, InputMessage, InputTool, MessagesRequest
from swell.api.http.images import checked_base64
from swell.api.ollama.bodies import ChatBody
from swell.api.v1 import required_schema
from swell.errors import InvalidRequestError
from swell.text.prompts.messages import Message, Tool, ToolCall, ToolFunction, ToolSpec

_BILLING = re.compile(r"^x-anthropic-billing-header:(?:[ \t]*[\w-]+=[^;\s]*;?)*[ \t]*\n?", re.MULTILINE)
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "max": "max", "xhigh": "high"}


def messages_body(request: MessagesRequest) -> ChatBody:
    """Raises InvalidRequestError."""
    _check_model(request)
    if request.max_tokens <= 0:
        raise InvalidRequestError("max_tokens is required and must be positive")
    body = count_body(request)
    options = {
        "num_predict": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop": request.stop_sequences or None,
    }
    body.options = {name: value for name, value in options.items() if value is not None}
    body.stream = request.stream
    return body


def count_body(request: CountRequest) -> ChatBody:
    """What decides how long the prompt is. Raises InvalidRequestError."""
    _check_model(request)
    if not request.messages:
        raise InvalidRequestError("messages is required")
    system = _system(request.system)
    first = [Message(role="system", content=system)] if system else []
    output_format = request.output_config.format if request.output_config.format.type else request.output_format
    return ChatBody(
        model=request.model,
        messages=[*first, *input_messages(request.messages)],
        tools=[_tool(tool) for tool in request.tools if tool.type == "custom"],
        format=required_schema(output_format.schema) if output_format.type == "json_schema" else None,
        think=_think(request),
    )


def tools_and_required(tools: Sequence[Tool], choice: object) -> tuple[list[Tool], list[str]]:
    """The tools that go into the prompt, and the names of those of which the model must call one.

    What isn't known as a choice is like "auto". Raises InvalidRequestError for one that can't be met.
    """
    names = [tool.function.name for tool in tools]
    match choice:
        case {"type": "none"}:
            return [], []
        case {"type": "any"}:
            if not names:
                raise InvalidRequestError('tool_choice is "any", but there are no tools')
            return list(tools), names
        case {"type": "tool", "name": str(name)}:
            if name not in names:
                raise InvalidRequestError(f'tool_choice names the tool "{name}", which is none of the tools')
            return list(tools), [name]
    return list(tools), []


def input_messages(messages: Sequence[InputMessage]) -> list[Message]:
    """Results of tools become messages of their own, before the text they came with. Raises InvalidRequestError."""
    names: dict[str, str] = {}  # of the tools called so far, by the ids of the calls
    converted: list[Message] = []
    for message in messages:
        if isinstance(message.content, str):
            converted.append(Message(role=message.role, content=message.content))
        else:
            converted.extend(_Blocks(message, names).messages())
    return converted


class _Blocks:
    """The blocks of one message, sorted. Unknown ones are left out."""

    def __init__(self, message: InputMessage, names: dict[str, str]) -> None:
        self._role = message.role
        self._names = names
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._images: list[str] = []
        self._calls: list[ToolCall] = []
        self._results: list[Message] = []
        for block in _blocks(message.content):
            self._add(block)

    def messages(self) -> list[Message]:
        message = Message(
            role=self._role,
            content="".join(self._texts),
            thinking="".join(self._thoughts),
            images=self._images,
            tool_calls=self._calls,
        )
        holds_more = self._texts or self._images or self._calls or self._thoughts
        return [*self._results, message] if holds_more or not self._results else self._results

    def _add(self, block: dict[str, Any]) -> None:
        match block:
            case {"type": "text", "text": str(text)} | {
                "type": "document",
                "source": {"type": "text", "data": str(text)},
            }:
                self._texts.append(text)
            case {"type": "thinking", "thinking": str(thought)}:
                self._thoughts.append(thought)
            case {"type": "image"}:
                self._images.append(_image(block))
            case {"type": "tool_use", "id": str(id), "name": str(name)}:
                self._add_call(id, name, block.get("input"))
            case {"type": "tool_result", "tool_use_id": str(id)}:
                self._add_result(id, block.get("content"))
            case {"type": "text" | "thinking" | "tool_use" | "tool_result" as kind}:
                raise InvalidRequestError(f"a block of the type {kind} lacks a field, or has one of the wrong type")

    def _add_call(self, id: str, name: str, arguments: object) -> None:
        if not isinstance(arguments, dict | None):
            raise InvalidRequestError("the input of a tool_use must be an object")
        self._names[id] = name
        function = ToolFunction(index=len(self._calls), name=name, arguments=arguments or {})
        self._calls.append(ToolCall(id=id, function=function))

    def _add_result(self, id: str, content: object) -> None:
        blocks = [] if content is None or isinstance(content, str) else _blocks(content)
        self._results.append(
            Message(
                role="tool",
                content=content if isinstance(content, str) else _texts(blocks),
                images=[_image(block) for block in blocks if block.get("type") == "image"],
                tool_name=self._names.get(id, ""),
                tool_call_id=id,
            )
        )


def _blocks(content: object) -> list[dict[str, Any]]:
    if isinstance(content, list) and all(isinstance(block, dict) for block in content):
        return content
    raise InvalidRequestError("content must be a text or a list of blocks")


def _texts(content: object) -> str:
    """The text of a text or of text blocks."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(_text(block) for block in _blocks(content))


def _text(block: dict[str, Any]) -> str:
    match block:
        case {"type": "text", "text": str(text)} | {"type": "document", "source": {"type": "text", "data": str(text)}}:
            return text
    return ""


def _system(content: object) -> str:
    """The system prompt, without the header for Anthropic's accounting that Claude Code puts into it.

    Its `cch=` is another one in each request and stands before everything else, so that nothing of a conversation would
    be found in the cache; a model has no use for it.
    """
    texts = [_texts([block]) for block in _blocks(content)] if isinstance(content, list) else [_texts(content)]
    return "".join(_BILLING.sub("", text) for text in texts)


def _image(block: dict[str, Any]) -> str:
    match block.get("source"):
        case {"type": "base64", "data": data}:
            return checked_base64(data)
    raise InvalidRequestError("the source of an image must be base64")


def _tool(tool: InputTool) -> Tool:
    if not tool.name:
        raise InvalidRequestError("a tool has no name")
    return Tool(function=ToolSpec(name=tool.name, description=tool.description, parameters=tool.input_schema))


def _think(request: CountRequest) -> bool | str | None:
    match request.thinking.type:
        case "enabled":
            return True
        case "disabled":
            return False
    return _EFFORTS.get(request.output_config.effort)


def _check_model(request: CountRequest) -> None:
    if not request.model:
        raise InvalidRequestError("model is required")
