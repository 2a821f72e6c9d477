"""Conversations of any shape, for templates that demand something of roles."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.text.prompts.demands import (
    ASKED,
    BY_PLACE,
    KNOWN,
    NO_SYSTEM,
    NO_TOOLS,
    ONE_CALL,
    SILENT,
    STRICT,
    SYSTEM_FIRST,
    USER_FIRST,
    WITHOUT_CALLS,
    WRITE,
    said,
)

from swell.errors import InvalidRequestError
from swell.sandbox.rendering_jobs import Render
from swell.text.prompts.messages import Message, Tool, ToolCall, ToolFunction, ToolSpec
from swell.text.prompts.roles import forms

TEMPLATES = [
    demands + WRITE
    for demands in (
        *("", NO_SYSTEM, SYSTEM_FIRST, ONE_CALL, NO_TOOLS, KNOWN, ASKED, USER_FIRST, BY_PLACE, WITHOUT_CALLS, STRICT),
        NO_SYSTEM + BY_PLACE,
        NO_SYSTEM + WITHOUT_CALLS + ONE_CALL,
        KNOWN + SYSTEM_FIRST + ASKED + ONE_CALL,
        SYSTEM_FIRST + NO_TOOLS + BY_PLACE + USER_FIRST,
    )
]
_CALLS = st.lists(
    st.builds(lambda name: ToolCall(function=ToolFunction(name=name, arguments={"a": 1})), st.sampled_from("fg")),
    max_size=3,
)
_MESSAGES = st.lists(
    st.one_of(
        st.builds(
            Message,
            role=st.sampled_from(["system", "developer", "user", "User"]),
            content=st.sampled_from(["Ask", "Beg", ""]),
        ),
        st.builds(Message, role=st.just("assistant"), content=st.sampled_from(["", "Do"]), tool_calls=_CALLS),
        st.builds(Message, role=st.just("tool"), content=st.sampled_from("123"), tool_name=st.sampled_from(["", "f"])),
    ),
    min_size=1,
    max_size=8,
)


def _run(template: str, messages: list[Message]) -> str:
    return Render(template=template, messages=messages, bos_token="", eos_token="", tools=[], thinking=None).run()


def _rendered(template: str, *messages: dict[str, Any]) -> str:
    return _run(template, msgspec.convert(list(messages), list[Message]))


@given(st.sampled_from(TEMPLATES), _MESSAGES)
def test_any_conversation_fits_any_template(template: str, messages: list[Message]) -> None:
    text = _run(template, messages)
    for message in messages:
        assert message.content in text
    if NO_TOOLS not in template and STRICT not in template:
        calls = [call.function.name for message in messages for call in message.tool_calls]
        assert sum(text.count(name) for name in ("[f]", "[g]")) + text.count('{"name"') == len(calls)


@given(_MESSAGES)
def test_what_a_template_takes_is_left_as_it_is(messages: list[Message]) -> None:
    first, *others = list(forms(messages))
    assert first == messages
    assert len(others) < 108
    assert all(form != messages for form in others)


@pytest.mark.parametrize(
    ("demands", "messages", "text"),
    [
        (BY_PLACE, [said("user", "a"), said("user", "b")], "<user>a\n\nb"),
        (BY_PLACE, [said("assistant", "a"), said("user", "b")], "<user><assistant>a<user>b"),
        (NO_SYSTEM, [said("system", "s"), said("user", "a")], "<user>s\n\na"),
        (NO_SYSTEM, [said("system", "s"), said("assistant", "a")], "<user>s<assistant>a"),
        (KNOWN, [said("developer", "s"), said("user", "a")], "<system>s<user>a"),
        (SYSTEM_FIRST, [said("system", "s"), said("user", "a"), said("system", "t")], "<system>s\n\nt<user>a"),
        (
            ONE_CALL,
            [said("user", "a"), said("assistant", "b", "f", "g"), said("tool", "1"), said("tool", "2")],
            "<user>a<assistant>b[f]<tool>1<assistant>[g]<tool>2",
        ),
        (
            WITHOUT_CALLS,
            [said("user", "a"), said("assistant", "", "f"), said("tool", "1"), said("user", "b")],
            "<user>a<assistant>[f]<tool>1\n\nb",
        ),
        (
            NO_TOOLS,
            [said("user", "a"), said("assistant", "b", "f"), said("tool", "1")],
            '<user>a<assistant>b\n{"name": "f", "arguments": {}}<user>1',
        ),
        ("", [said("user", "a"), said("user", "b"), said("system", "s")], "<user>a<user>b<system>s"),
    ],
)
def test_the_least_that_a_template_demands_is_changed(demands: str, messages: list[dict[str, Any]], text: str) -> None:
    assert _rendered(demands + WRITE, *messages) == f"{text}<assistant>"


def test_calls_that_a_template_does_not_write_are_text() -> None:
    unheard = "{% if tools %}f, g{% endif %}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    talk = [said("user", "a"), said("assistant", "b", "f", "g"), said("tool", "1"), said("tool", "2")]
    assert _rendered(unheard, *talk) == (
        '<user>a<assistant>b\n{"name": "f", "arguments": {}}\n{"name": "g", "arguments": {}}<tool>1<tool>2'
    )


def test_an_assistant_who_says_nothing_is_left_out_where_that_is_refused() -> None:
    demands = "{% for m in messages %}{% if m.role == 'assistant' and not m.content %}{{ raise_exception('!') }}"
    demands += "{% endif %}{% endfor %}"
    talk = [said("user", "a"), said("assistant", ""), said("user", "b")]
    assert _rendered(demands + WRITE, *talk) == "<user>a\n\nb<assistant>"
    assert _rendered(WRITE, *talk) == "<user>a<assistant><user>b<assistant>"


_TYPES = "{% macro a(t) %}{% if t in ('string', 'object') %}{{ t }}{% else %}{{ raise_exception('!') }}{% endif %}"
_TYPES += "{% endmacro %}"
_TYPES += "{% for t in tools %}{% for p in t.function.parameters.properties.values() %}{{ a(p.type) }}"
_TYPES += "{% if p.type == 'object' %} of {{ a(p.additionalProperties.type) }}{% endif %};{% endfor %}{% endfor %}"


def test_types_are_made_plain_where_a_template_knows_no_others() -> None:
    properties = {"a": {"type": ["null", "string"]}, "b": {"type": "object"}, "c": {"type": ["null"]}}
    tool = Tool(function=ToolSpec(name="f", parameters={"properties": properties})).for_template()
    talk = [Message(role="user", content="x")]

    def written(template: str, *tools: dict[str, Any]) -> str:
        return Render(
            template=template, messages=talk, bos_token="", eos_token="", tools=list(tools), thinking=None
        ).run()

    assert written(_TYPES + WRITE, tool) == "string;object of string;string;<user>x<assistant>"
    assert written("{{ tools[0].function.parameters.properties.a.type | first }}" + WRITE, tool).startswith("null")
    assert written(_TYPES + WRITE) == "<user>x<assistant>"
    with pytest.raises(InvalidRequestError, match="never"):
        written("{{ raise_exception('never') }}", tool)


def test_results_stay_with_the_calls_that_they_name() -> None:
    calling: dict[str, Any] = {"role": "assistant", "tool_calls": [
        {"id": "1", "function": {"name": "f"}}, {"id": "2", "function": {"name": "g"}}]}  # fmt: skip
    results = [{"role": "tool", "content": f"of {id}", "tool_call_id": id} for id in ("2", "1", "3")]
    assert _rendered(ONE_CALL + WRITE, calling, *results) == (
        "<assistant>[f]<tool>of 1<assistant>[g]<tool>of 2<tool>of 3<assistant>"
    )


def test_nothing_is_left_out_in_silence() -> None:
    assert _rendered(SILENT, said("user", "A"), said("system", "S")) == "<system>S<user>A"
    assert _rendered("{{ messages | length }}", said("user", "a"), said("user", "b")) == "2"  # it never writes any


def test_a_template_that_refuses_all_forms_says_what_it_said_first() -> None:
    with pytest.raises(InvalidRequestError, match="2 messages"):
        _rendered("{{ raise_exception(messages | length ~ ' messages') }}", said("user", "a"), said("user", "b"))


def test_a_long_conversation_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a template that leaves something out would take more than it may, and be refused from then on."""
    tried: list[Sequence[Message]] = []

    def render(_job: Render, messages: Sequence[Message]) -> str:
        tried.append(messages)
        return "nothing"

    monkeypatch.setattr(Render, "_render", render)
    roles = ("assistant", "tool", "user", "system", "user", "system", "assistant")
    calls = [ToolCall(function=ToolFunction(name="f"))] * 2
    short = [Message(role=role, content="x", tool_calls=calls if role == "assistant" else []) for role in roles]
    _run("", short)
    assert len(tried) == len(list(forms(short))) > 16

    tried.clear()
    _run("", [msgspec.structs.replace(message, content="x" * 4_000_000) for message in short])
    assert len(tried) == 16
