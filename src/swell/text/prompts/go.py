"""Prompts by templates in Go's language, as Ollama's models have them.

A template either goes over `.Messages` itself, or is of the older kind that writes one turn: `.System`, `.Prompt` and
`.Response`. With the latter all turns are written one after the other.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from swell.gotemplate.execution import execute
from swell.gotemplate.inspection import cut_after, names_used, with_action
from swell.gotemplate.nodes import GoTemplate
from swell.gotemplate.parser import parse
from swell.gotemplate.values import Value
from swell.text.prompts.go_values import message_value, tool_values
from swell.text.prompts.messages import Message, Tool

_RESPONSE = "Response"
_SPEAKERS = {"system": "System", "user": "Prompt", "assistant": _RESPONSE}
"""Who speaks in a turn, in this order, and by which variables."""


@lru_cache(maxsize=64)
def read_template(text: str) -> GoTemplate:
    """The template in `text`; one that has no place for the answer gets it at its end. Raises InvalidTemplateError."""
    template = parse(text)
    return template if names_used(template) & {"Messages", _RESPONSE} else with_action(template, _RESPONSE)


def render_conversation(
    template: str, messages: Sequence[Message], tools: Sequence[Tool], thinking: bool | str | None
) -> str:
    """The prompt for the model's next turn. Raises InvalidTemplateError and TemplateRunError."""
    read, turns, variables = read_template(template), merged(messages), thinking_variables(thinking)
    if "Messages" in names_used(read):
        systems = [message.content for message in messages if message.is_system]
        return execute(
            read,
            {
                "System": "\n\n".join(systems),
                "Messages": [message_value(message) for message in turns],
                "Tools": tool_values(tools),
                _RESPONSE: "",
                **variables,
            },
        )
    *before, last = _turns(turns)
    written = [execute(read, {**turn, **variables}) for turn in before]
    return "".join(written) + execute(cut_after(read, _RESPONSE), {**last, **variables})


def render_gap(template: str, prompt: str, suffix: str, thinking: bool | str | None) -> str:
    """The prompt for what belongs between `prompt` and `suffix`. Raises InvalidTemplateError and TemplateRunError."""
    texts: dict[str, Value] = {"Prompt": prompt, "Suffix": suffix, _RESPONSE: ""}
    return execute(read_template(template), {**texts, **thinking_variables(thinking)})


def thinking_variables(thinking: bool | str | None) -> dict[str, Value]:
    """The variables in which templates see `thinking`; None is what the model does by itself."""
    level = "medium" if thinking is True else thinking or ""
    return {"Think": bool(thinking), "ThinkLevel": level, "IsThinkSet": thinking is not None}


def merged(messages: Sequence[Message]) -> list[Message]:
    """`messages` with roles as templates know them; what one role but the tools says in a row is one message."""
    result: list[Message] = []
    for message in messages:
        role = "system" if message.is_system else message.role.lower()
        last = result[-1] if result else None
        if last is None or last.role != role or role == "tool":
            result.append(msgspec.structs.replace(message, role=role))
            continue
        result[-1] = msgspec.structs.replace(
            last,
            content="\n\n".join(filter(None, (last.content, message.content))),
            thinking="\n\n".join(filter(None, (last.thinking, message.thinking))),
            images=[*last.images, *message.images],
            tool_calls=[*last.tool_calls, *message.tool_calls],
        )
    return result


def _turns(messages: Sequence[Message]) -> list[dict[str, Value]]:
    """The messages in turns of the system, the user and the assistant, any of which may be missing."""
    turns: list[dict[str, Value]] = [dict.fromkeys(_SPEAKERS.values(), "")]
    for message in messages:
        if message.role not in _SPEAKERS:
            continue
        place = list(_SPEAKERS).index(message.role)
        if any(list(turns[-1].values())[place:]):
            turns.append(dict.fromkeys(_SPEAKERS.values(), ""))
        turns[-1][_SPEAKERS[message.role]] = message.content
    return turns
