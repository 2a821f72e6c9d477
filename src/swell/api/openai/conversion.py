"""From OpenAI's bodies to Ollama's."""

from collections.abc import Sequence
from typing import Any

from swell.api.ollama.bodies import ChatBody, GenerateBody
from swell.api.openai.bodies import ChatRequest, ChatTool, CompletionRequest, ResponseFormat, Sampled
from swell.api.openai.messages import chat_messages
from swell.api.v1 import required_schema
from swell.errors import InvalidRequestError, UnsupportedError
from swell.text.prompts.messages import Tool, ToolSpec

ANSWERS_MAX = 128
"""OpenAI's own limit for `n`."""

_EFFORTS: dict[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
    "xhigh": "max",
    "ultra": "max",
}


_SWITCHES = ("enable_thinking", "thinking")
"""What templates call whether to think."""


def chat_body(request: ChatRequest) -> ChatBody:
    """Raises InvalidRequestError."""
    if not request.messages:
        raise InvalidRequestError("[] is too short - 'messages'")
    _check_answers(request)
    limit = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    return ChatBody(
        model=request.model,
        messages=chat_messages(request.messages),
        tools=function_tools(request.tools),
        stream=request.stream,
        format=_format(request.response_format),
        options=_options(request, limit),
        think=_think(request),
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
    )


def generate_body(request: CompletionRequest) -> GenerateBody:
    """Raises InvalidRequestError, and UnsupportedError for likelihoods of the prompt, which measurements of models ask
    for: they would take those of the answer for them.
    """
    _check_answers(request)
    if request.echo and request.logprobs is not None:
        raise UnsupportedError("swell", "likelihoods of the prompt (echo with logprobs)")
    return GenerateBody(
        model=request.model,
        prompt=_only_prompt(request.prompt),
        suffix=request.suffix,
        stream=request.stream,
        options=_options(request, request.max_tokens),
        logprobs=request.logprobs is not None,
        top_logprobs=request.logprobs or 0,
    )


def think_of(effort: str | None) -> bool | str | None:
    """How hard to think, in Ollama's words; None if it isn't said. Raises InvalidRequestError."""
    if not effort:
        return None
    if effort not in _EFFORTS:
        raise InvalidRequestError(f'invalid reasoning effort "{effort}" (must be one of {", ".join(_EFFORTS)})')
    return _EFFORTS[effort]


def function_tools(tools: Sequence[ChatTool]) -> list[Tool]:
    """The functions among `tools`; others are not offered to the model. Raises InvalidRequestError."""
    return [Tool(function=_function(tool)) for tool in tools if tool.type == "function"]


def tools_and_required(tools: Sequence[Tool], choice: Any) -> tuple[list[Tool], list[str]]:
    """The tools that go into the prompt, and the names of those of which the model must call one.

    `choice` is OpenAI's `tool_choice`: "none", "auto", "required" (Mistral's "any"), a function's name, or those
    allowed, the latter two in two shapes each. What isn't known is like "auto". Raises InvalidRequestError for a choice
    that can't be met.
    """
    names = [tool.function.name for tool in tools]
    match choice:
        case "none":
            return [], []
        case "required" | "any":
            if not names:
                raise InvalidRequestError(f'tool_choice is "{choice}", but there are no tools')
            return list(tools), names
        case {"type": "function" | "custom"}:
            return list(tools), [_chosen_name(choice, names)]
        case {"type": "allowed_tools", "allowed_tools": {"tools": list(allowed)} as wish}:
            return _allowed(tools, allowed, wish.get("mode"))
        case {"type": "allowed_tools", "tools": list(allowed)}:
            return _allowed(tools, allowed, choice.get("mode"))
    return list(tools), []


def _function(tool: ChatTool) -> ToolSpec:
    function = tool.function
    if not function.name:
        function = ToolSpec(name=tool.name, description=tool.description, parameters=tool.parameters)
    if not function.name:
        raise InvalidRequestError("a tool of the type function has no name")
    return function


def _allowed(tools: Sequence[Tool], allowed: Sequence[object], mode: object) -> tuple[list[Tool], list[str]]:
    """A model that may call some of its tools isn't told of the others; one that must call is bound to the schemas of
    those anyway. Tools that are no functions are not offered at all.
    """
    known = [tool.function.name for tool in tools]
    chosen = [one for one in allowed if isinstance(one, dict) and one.get("type") in ("function", "custom")]
    names = [_chosen_name(one, known) for one in chosen]
    if mode == "required":
        if not names:
            raise InvalidRequestError("tool_choice requires a call, but allows no function")
        return list(tools), names
    if mode not in (None, "auto"):
        raise InvalidRequestError('the mode of tool_choice must be "auto" or "required"')
    return [tool for tool in tools if tool.function.name in names], []


def _chosen_name(choice: dict[str, Any], known: Sequence[str]) -> str:
    """The name of the chosen function. Raises InvalidRequestError if it is none of the tools."""
    function = choice.get(choice["type"], choice)
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise InvalidRequestError("tool_choice has no name of a function")
    if name not in known:
        raise InvalidRequestError(f'tool_choice names the function "{name}", which is none of the tools')
    return name


def _only_prompt(prompt: str | list[str]) -> str:
    """The prompt, which may be the only one of a list."""
    if isinstance(prompt, str):
        return prompt
    if len(prompt) != 1:
        raise InvalidRequestError(f"a request has exactly one prompt, not {len(prompt)}; send one request for each")
    return prompt[0]


def _check_answers(request: Sampled) -> None:
    if not 1 <= request.n <= ANSWERS_MAX:
        raise InvalidRequestError(f"n must be between 1 and {ANSWERS_MAX}")


def _think(request: ChatRequest) -> bool | str | None:
    effort = request.reasoning_effort or request.reasoning.effort
    if not effort and any(request.chat_template_kwargs.get(name) is False for name in _SWITCHES):
        return False
    return think_of(effort)


def _options(request: Sampled, limit_tokens: int | None) -> dict[str, Any]:
    """What isn't given is left to the model, but not temperature and top_p: OpenAI's are 1."""
    stop = [request.stop] if isinstance(request.stop, str) else request.stop
    options = {
        "num_predict": limit_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": stop,
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
    }
    return {name: value for name, value in options.items() if value is not None}


def _format(wanted: ResponseFormat) -> str | dict[str, Any] | None:
    schema = wanted.json_schema.schema if wanted.schema is None else wanted.schema
    match wanted.type:
        case "json_object":
            return "json" if schema is None else schema
        case "json_schema":
            return required_schema(schema)
    return None
