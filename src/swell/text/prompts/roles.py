"""Conversations in other forms, for templates that demand something of roles.

An adaptation is a function that returns the messages changed, or as they are if they need no change. What a template
demands isn't known, so `forms` gives all forms to try, the least change first.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence

import msgspec

from swell.text.prompts.messages import Message, ToolCall

_Adaptation = Callable[[list[Message]], list[Message]]


def forms(messages: Sequence[Message]) -> Iterator[list[Message]]:
    """`messages` as they are, then all other forms, those that change the least first; at most 108."""
    tried: list[list[Message]] = []
    for levels in sorted(itertools.product(*(range(len(demand)) for demand in _DEMANDS)), key=_change):
        form = list(messages)
        for demand, level in zip(_DEMANDS, levels, strict=True):
            for adapt in demand[level].adaptations:
                form = adapt(form)
        if form not in tried:
            tried.append(form)
            yield form


def system_first(messages: list[Message]) -> list[Message]:
    """All system messages as one, before the others."""
    systems = [message for message in messages if message.is_system]
    if not systems:
        return messages
    return [_joined(systems, "system"), *(message for message in messages if not message.is_system)]


def user_first(messages: list[Message]) -> list[Message]:
    """An empty user's message where none begins the conversation."""
    start = next((index for index, message in enumerate(messages) if not message.is_system), len(messages))
    if start < len(messages) and _role(messages[start]) == "user":
        return messages
    return [*messages[:start], Message(role="user"), *messages[start:]]


def system_as_user(messages: list[Message]) -> list[Message]:
    """The system's text at the beginning of the first user's message."""
    systems = [message for message in messages if message.is_system]
    if not systems:
        return messages
    others = user_first([message for message in messages if not message.is_system])
    return [_joined([*systems, others[0]], "user"), *others[1:]]


def one_call_each(messages: list[Message]) -> list[Message]:
    """Several calls in one message as several messages, each before its results."""
    split: list[Message] = []
    rest = list(messages)
    while rest:
        message = rest.pop(0)
        if len(message.tool_calls) < 2:
            split.append(message)
            continue
        results = list(itertools.takewhile(lambda one: _role(one) == "tool", rest))
        del rest[: len(results)]
        for number, call in enumerate(message.tool_calls):
            said = message if number == 0 else Message(role=message.role)
            split.append(msgspec.structs.replace(said, tool_calls=[call]))
            if (result := next((one for one in results if _answers(one, call)), None)) is not None:
                results.remove(result)
                split.append(result)
        split.extend(results)
    return split


def calls_as_text(messages: list[Message]) -> list[Message]:
    """Calls as JSON in the assistant's text, before their results."""
    return [_as_text(message) if _role(message) == "assistant" else message for message in messages]


def tools_as_text(messages: list[Message]) -> list[Message]:
    """Calls as JSON in the assistant's text, and their results as the user's."""
    return [_as_text(message) for message in messages]


def neighbours_merged(messages: list[Message]) -> list[Message]:
    """What one role says in a row as one message; calls stay apart from what follows them, and so do results.

    An assistant who says nothing isn't heard at all.
    """
    speaking = [one for one in messages if _role(one) != "assistant" or one.content or one.thinking or one.tool_calls]
    return _merged(speaking, {("user", "user"), ("assistant", "assistant"), ("system", "system")})


def text_into_results(messages: list[Message]) -> list[Message]:
    """What the user says right after a tool's result as part of that."""
    return _merged(messages, {("tool", "user")})


class _Option(msgspec.Struct, frozen=True):
    """A way to meet a demand. `change` says how much it changes, compared with other ways."""

    change: int
    adaptations: tuple[_Adaptation, ...] = ()


_DEMANDS = (
    (_Option(0), _Option(2, (system_first,)), _Option(5, (system_as_user,))),
    (_Option(0), _Option(3, (user_first,))),
    (_Option(0), _Option(1, (one_call_each,))),
    (_Option(0), _Option(4, (calls_as_text,)), _Option(12, (tools_as_text,))),
    (_Option(0), _Option(1, (neighbours_merged,)), _Option(2, (neighbours_merged, text_into_results))),
)
"""Met in this order: a later adaptation mends what an earlier one leaves."""


def _change(levels: Sequence[int]) -> int:
    return sum(demand[level].change for demand, level in zip(_DEMANDS, levels, strict=True))


def _role(message: Message) -> str:
    return "system" if message.is_system else message.role.lower()


def _answers(result: Message, call: ToolCall) -> bool:
    if result.tool_call_id and call.id:
        return result.tool_call_id == call.id
    return result.tool_name in ("", call.function.name)


def _as_text(message: Message) -> Message:
    if _role(message) == "tool":
        return Message(role="user", content=message.content, images=message.images)
    if not message.tool_calls:
        return message
    calls = [
        json.dumps({"name": call.function.name, "arguments": call.function.arguments}, ensure_ascii=False)
        for call in message.tool_calls
    ]
    content = "\n".join([*filter(None, [message.content]), *calls])
    return msgspec.structs.replace(message, content=content, tool_calls=[])


def _merged(messages: list[Message], pairs: set[tuple[str, str]]) -> list[Message]:
    groups: list[list[Message]] = []
    for message in messages:
        before = groups[-1][-1] if groups else None
        if before is not None and (_role(groups[-1][0]), _role(message)) in pairs and not before.tool_calls:
            groups[-1].append(message)
        else:
            groups.append([message])
    return [group[0] if len(group) == 1 else _joined(group, group[0].role) for group in groups]


def _joined(messages: Sequence[Message], role: str) -> Message:
    """One message with the texts of all, the calls of the last one and the ids of the first."""
    return msgspec.structs.replace(
        messages[0],
        role=role,
        content="\n\n".join(message.content for message in messages if message.content),
        thinking="\n\n".join(message.thinking for message in messages if message.thinking),
        images=[image for message in messages for image in message.images],
        tool_calls=messages[-1].tool_calls,
    )
