"""The tools of /v1/responses: functions and tools that take text, some of them in namespaces, some among the input.

A model knows functions by one name only, so each has such a name here, by which its call becomes the client's again.
"""

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from swell.api.openai.bodies import ResponseRequest
from swell.api.openai.messages import text_field
from swell.errors import InvalidRequestError
from swell.text.prompts.messages import Tool, ToolSpec

_ITEMS = ("additional_tools", "tool_search_output")
"""Items of the input that bring tools: all of them, as newer versions of Codex, or those that a search has found."""
_DEFAULT_NAMESPACE = "functions"
_INPUT = "input"


class ToolKind(Enum):
    """What a tool takes: an object, or text that isn't JSON."""

    FUNCTION = "function"
    CUSTOM = "custom"


class OfferedTool(NamedTuple):
    """A tool by the client's names; `tool` is what the model is told."""

    kind: ToolKind
    namespace: str
    name: str
    tool: Tool

    def text_of(self, arguments: dict[str, Any]) -> str | None:
        """What a model has written as the text for a tool that takes text; None if it isn't there."""
        text = arguments.get(_INPUT) if _INPUT in arguments or len(arguments) != 1 else next(iter(arguments.values()))
        return text if isinstance(text, str) else None


def offered_tools(request: ResponseRequest) -> dict[str, OfferedTool]:
    """By the names that models know. Others, such as a web search, are not offered. Raises InvalidRequestError."""
    offered: dict[str, OfferedTool] = {}
    for tool in _all_tools(request):
        for one in _offered(tool, ""):
            offered.setdefault(full_name(one.namespace, one.name), one)
    return offered


def full_name(namespace: str, name: str) -> str:
    """The name that models know."""
    return f"{namespace}.{name}" if namespace else name


def custom_arguments(text: str) -> dict[str, Any]:
    """The arguments of a call whose tool takes `text`."""
    return {_INPUT: text}


def _all_tools(request: ResponseRequest) -> Iterator[dict[str, Any]]:
    yield from request.tools
    for item in request.input if isinstance(request.input, list) else ():
        if isinstance(item, dict) and item.get("type") in _ITEMS:
            tools = item.get("tools")
            yield from (tool for tool in tools if isinstance(tool, dict)) if isinstance(tools, list) else ()


def _offered(tool: dict[str, Any], namespace: str) -> Iterator[OfferedTool]:
    match tool.get("type"):
        case "function":
            function = tool.get("function")  # the older API's shape
            spec = _function(function if isinstance(function, dict) else tool)
            yield _named(ToolKind.FUNCTION, namespace, spec)
        case "custom":
            yield _named(ToolKind.CUSTOM, namespace, _custom(tool))
        case "namespace":
            name = text_field(tool, "name")
            inner = "" if name == _DEFAULT_NAMESPACE else full_name(namespace, name)
            members = tool.get("tools")
            for member in members if isinstance(members, list) else []:
                if isinstance(member, dict):
                    yield from _offered(member, inner)


def _named(kind: ToolKind, namespace: str, spec: ToolSpec) -> OfferedTool:
    if not spec.name:
        raise InvalidRequestError(f"a tool of the type {kind.value} has no name")
    known = ToolSpec(name=full_name(namespace, spec.name), description=spec.description, parameters=spec.parameters)
    return OfferedTool(kind, namespace, spec.name, Tool(function=known))


def _function(tool: dict[str, Any]) -> ToolSpec:
    parameters = tool.get("parameters")
    if not isinstance(parameters, dict | None):
        raise InvalidRequestError("the parameters of a function must be a JSON schema")
    return ToolSpec(
        name=text_field(tool, "name"), description=text_field(tool, "description"), parameters=parameters or {}
    )


def _custom(tool: dict[str, Any]) -> ToolSpec:
    """A function of one text, with the grammar of that, if there is one, for the model to read."""
    text: dict[str, Any] = {"type": "string"}
    match tool.get("format"):
        case {"type": "grammar", "syntax": str(syntax), "definition": str(definition)}:
            text["description"] = f"Text that follows this grammar ({syntax}):\n{definition}"
    return ToolSpec(
        name=text_field(tool, "name"),
        description=text_field(tool, "description"),
        parameters={"type": "object", "properties": {_INPUT: text}, "required": [_INPUT]},
    )
