"""What answers of /v1/responses are made of."""

import time
from typing import Any, Self

import msgspec

from swell.api.http.json import encode
from swell.api.openai.bodies import Reasoning, ResponseRequest, TextOptions
from swell.api.openai.offered import OfferedTool, ToolKind
from swell.api.v1 import random_id
from swell.text.parsing.parts import ToolCall
from swell.turns.events import Finish

_ID_DIGITS = 24


class SummaryPart(msgspec.Struct, kw_only=True):
    type: str = "summary_text"
    text: str


class ReasoningItem(msgspec.Struct, kw_only=True):
    """A thought. Clients give back `encrypted_content`, which is the plain text, in the next turn."""

    id: str
    type: str = "reasoning"
    summary: list[SummaryPart] = []
    encrypted_content: str = ""

    @classmethod
    def of(cls, id: str, text: str) -> Self:
        return cls(id=id, summary=[SummaryPart(text=text)], encrypted_content=text)


class TextPart(msgspec.Struct, kw_only=True):
    type: str = "output_text"
    text: str = ""
    annotations: list[Any] = []
    logprobs: list[Any] = []


class MessageItem(msgspec.Struct, kw_only=True):
    id: str
    type: str = "message"
    status: str = "completed"
    role: str = "assistant"
    content: list[TextPart] = []


class CallItem(msgspec.Struct, kw_only=True):
    """A function's call; `arguments` is JSON in a string. `namespace` is that of the tool, if it is in one."""

    id: str
    type: str = "function_call"
    status: str = "completed"
    call_id: str
    namespace: str | msgspec.UnsetType = msgspec.UNSET
    name: str
    arguments: str


class CustomCallItem(msgspec.Struct, kw_only=True):
    """A call of a tool that takes text."""

    id: str
    type: str = "custom_tool_call"
    status: str = "completed"
    call_id: str
    namespace: str | msgspec.UnsetType = msgspec.UNSET
    name: str
    input: str


AnyCallItem = CallItem | CustomCallItem
Item = ReasoningItem | MessageItem | AnyCallItem


def call_item(call: ToolCall, offered: OfferedTool | None) -> AnyCallItem:
    """`call` by the names that the client has for the tool, if it is known."""
    arguments = encode(call.arguments).decode()
    namespace, name = ("", call.name) if offered is None else (offered.namespace, offered.name)
    space = namespace or msgspec.UNSET
    if offered is None or offered.kind is ToolKind.FUNCTION:
        return CallItem(id=new_id("fc_"), call_id=call.id, namespace=space, name=name, arguments=arguments)
    text = offered.text_of(call.arguments)
    text = arguments if text is None else text
    return CustomCallItem(id=new_id("ctc_"), call_id=call.id, namespace=space, name=name, input=text)


class InputDetails(msgspec.Struct, kw_only=True):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(msgspec.Struct, kw_only=True):
    reasoning_tokens: int = 0


class Usage(msgspec.Struct, kw_only=True):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputDetails = msgspec.field(default_factory=InputDetails)
    output_tokens_details: OutputDetails = msgspec.field(default_factory=OutputDetails)


class ResponseObject(msgspec.Struct, kw_only=True):
    """The whole answer. Times are seconds since 1970."""

    id: str
    object: str = "response"
    created_at: int
    completed_at: int | None = None
    status: str = "in_progress"
    incomplete_details: None = None
    model: str
    previous_response_id: None = None
    instructions: str | None
    output: list[Item] = []
    error: Any = None
    tools: list[dict[str, Any]]
    tool_choice: Any
    truncation: str
    parallel_tool_calls: bool = True
    text: TextOptions
    top_p: float
    presence_penalty: float = 0
    frequency_penalty: float = 0
    top_logprobs: int = 0
    temperature: float
    reasoning: Reasoning | None
    usage: Usage | None = None
    max_output_tokens: int | None
    max_tool_calls: None = None
    store: bool = False
    background: bool = False
    service_tier: str = "default"
    metadata: dict[str, str] = {}
    safety_identifier: None = None
    prompt_cache_key: None = None


def new_id(prefix: str) -> str:
    return random_id(prefix, _ID_DIGITS)


def begun(request: ResponseRequest) -> ResponseObject:
    """The answer to `request` before anything is in it."""
    return ResponseObject(
        id=new_id("resp_"),
        created_at=int(time.time()),
        model=request.model,
        instructions=request.instructions or None,
        tools=[_shown(tool) for tool in request.tools],
        parallel_tool_calls=request.parallel_tool_calls,
        tool_choice=request.tool_choice if isinstance(request.tool_choice, str | dict) else "auto",
        truncation=request.truncation,
        text=request.text,
        top_p=1.0 if request.top_p is None else request.top_p,
        temperature=request.temperature,
        reasoning=None if request.reasoning == Reasoning() else request.reasoning,
        max_output_tokens=request.max_output_tokens,
    )


def completed(response: ResponseObject, output: list[Item], finish: Finish) -> ResponseObject:
    """`response` with its end. It counts as completed even if it was cut, as in Ollama."""
    read, written = finish.prompt_eval_count, finish.eval_count
    return msgspec.structs.replace(
        response,
        completed_at=int(time.time()),
        status="completed",
        output=output,
        usage=Usage(
            input_tokens=read,
            output_tokens=written,
            total_tokens=read + written,
            input_tokens_details=InputDetails(cached_tokens=finish.cached_tokens),
        ),
    )


def _shown(tool: dict[str, Any]) -> dict[str, Any]:
    """A function's tool always has these fields, in OpenAI's own answers."""
    return {"description": None, "parameters": None, "strict": None, **tool} if tool.get("type") == "function" else tool
