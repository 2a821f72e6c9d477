"""Prompts by templates in Go's language, against the real text/template, and what is beyond it."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gotemplate.cases import GROUPS, Case, outcomes

from swell.errors import GoTemplateError
from swell.gotemplate.execution import execute
from swell.gotemplate.parser import parse
from swell.text.prompts.go import merged, render_conversation, render_gap
from swell.text.prompts.messages import Message, Tool, ToolCall, ToolFunction, ToolSpec

_DAYS = {"{{ currentDate }}": "2026-11-26", "{{ yesterdayDate }}": "2026-11-25"}
"""The days of the expected texts."""


def _write(case: Case) -> str | None:
    """The prompt of a case; None if its template fails."""
    assert case.chat is not None
    chat = case.chat
    messages, tools = msgspec.convert(chat.messages, list[Message]), msgspec.convert(chat.tools, list[Tool])
    try:
        if chat.suffix:
            text = render_gap(case.template, chat.prompt, chat.suffix, chat.think)
        else:
            text = render_conversation(case.template, messages, tools, chat.think)
    except GoTemplateError:
        return None
    days = {execute(parse(function), None): day for function, day in _DAYS.items()}
    return re.sub("|".join(days), lambda found: days[found[0]], text)  # one may be the other's day


def test_conversations_are_written_as_go_writes_them() -> None:
    wrong = [
        (case, written, outcome.expected)
        for case, outcome in zip(GROUPS["families"], outcomes("families"), strict=True)
        if (written := _write(case)) != outcome.expected
    ]
    assert wrong == []


def _prompt(template: str, *messages: Message, tools: tuple[Tool, ...] = ()) -> str:
    return render_conversation(template, messages, tools, None)


def test_the_developer_is_the_system() -> None:
    template = "{{ .System }}:{{ range .Messages }}{{ .Role }} {{ end }}"
    assert _prompt(template, Message(role="Developer", content="S"), Message(role="USER")) == "S:system user "


def test_nothing_of_merged_messages_is_lost() -> None:
    calls = [ToolCall(function=ToolFunction(name=name)) for name in "ab"]
    first = Message(role="assistant", thinking="Hm", tool_calls=calls[:1])
    second = Message(role="assistant", content="Text", thinking="Ah", tool_calls=calls[1:])
    both = Message(role="assistant", content="Text", thinking="Hm\n\nAh", tool_calls=calls)
    assert merged([first, second]) == [both]


def test_what_ollama_leaves_out_of_a_schema_comes_last() -> None:
    schema = {"type": "integer", "minimum": 1, "description": "D"}
    tool = Tool(function=ToolSpec(name="f", parameters={"additionalProperties": False, "properties": {"a": schema}}))
    assert _prompt("{{ range .Messages }}{{ end }}{{ .Tools }}", tools=(tool,)) == (
        '[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":'
        '{"a":{"type":"integer","description":"D","minimum":1}},"additionalProperties":false}}}]'
    )


def test_integers_that_floats_can_not_hold_stay_whole() -> None:
    call = ToolCall(function=ToolFunction(name="f", arguments={"a": 10**30, "b": 2**53, "c": True}))
    template = "{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Arguments }}{{ end }}{{ end }}"
    assert _prompt(template, Message(role="assistant", tool_calls=[call])) == (
        '{"a":1000000000000000000000000000000,"b":9007199254740992,"c":true}'
    )


def test_a_turn_begins_where_a_speaker_would_be_overwritten() -> None:
    roles = ("user", "tool", "user", "assistant", "tool", "assistant", "user")
    messages = [Message(role=role, content=str(place)) for place, role in enumerate(roles)]
    assert _prompt("{{ .System }}/{{ .Prompt }}/{{ .Response }};", *messages) == "/0/;/2/3;//5;/6/"


_ROLES = st.sampled_from(["system", "user", "assistant"])


@given(st.lists(st.tuples(_ROLES, st.text("ab \n", min_size=1, max_size=5)), max_size=8))
def test_turns_of_the_older_kind_write_everything_once(said: list[tuple[str, str]]) -> None:
    messages = [Message(role=role, content=content) for role, content in said]
    template = (
        "{{ if .System }}<s>{{ .System }}{{ end }}{{ if .Prompt }}<u>{{ .Prompt }}{{ end }}"
        "{{ if .Response }}<a>{{ end }}{{ .Response }}</a>"
    )
    written = render_conversation(template, messages, (), None)
    marks = {"system": "<s>", "user": "<u>", "assistant": "<a>"}
    assert written.replace("</a>", "") == "".join(marks[one.role] + one.content for one in merged(messages))
    assert not written.endswith("</a>")


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": None},
        {"properties": None},
        {"properties": []},
        {"properties": {"a": 1}},
        {"required": 1, "type": ["a"]},
        {"properties": {"a": {"type": 1, "enum": {}, "anyOf": 2, "properties": 3, "description": 4}}},
    ],
)
def test_strange_schemas_are_written(schema: dict[str, object]) -> None:
    each = "{{ range .Tools }}{{ range .Function.Parameters.Properties }}{{ . }}{{ end }}{{ end }}"
    template = f"{{{{ range .Messages }}}}{{{{ end }}}}{{{{ .Tools }}}}{each}"
    assert _prompt(template, tools=(Tool(function=ToolSpec(name="f", parameters=schema)),))
