"""How a model with a template in Go's language writes thoughts and calls."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gotemplate.chats import TEMPLATES
from tests.text.parsing.pieces import cut

from swell.text.parsing.go_dialect import go_dialect_of
from swell.text.parsing.parser import merged
from swell.text.parsing.parts import Part, Text, Thought, ToolCall
from swell.text.parsing.thinking import ThinkingTags

TOOLS: dict[str, Any] = {"weather": {"type": "object"}, "weather_at": {"type": "object"}, "time": {"type": "object"}}
THINKING = (
    "{{ range .Messages }}{{ if .Thinking }}<thoughts>\n{{ .Thinking }}\n</thoughts>\n{{ end }}{{ .Content }}{{ end }}"
)


def calling(written: str) -> str:
    """A template in which earlier calls are written like that."""
    return "{{ .Tools }}{{ range .Messages }}{{ if .ToolCalls }}" + written + "{{ end }}{{ .Content }}{{ end }}"


CALLS = "{{ range .ToolCalls }}<call>\n{{ .Function.Name }} {{ .Function.Arguments }}\n</call><eot>{{ end }}"
NAMED = '<call>{{ range .ToolCalls }}{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}{{ end }}'


def read(template: str, *pieces: str, prompt: str = "") -> list[Part]:
    parser = go_dialect_of(template).parser(prompt, TOOLS)
    return merged([*(part for piece in pieces for part in parser.feed(piece)), *parser.finish()])


@pytest.mark.parametrize(
    ("template", "thinks", "opening"),
    [
        ("headers_with_tools", False, ""),
        ("im_start_with_tools", False, "<tool_call>"),
        ("im_start_with_thoughts", True, "<tool_call>"),
        ("instructions", False, "[TOOL_CALLS]"),
        ("marks_and_a_list_of_tools", False, "<|tool_call|>"),
        ("bars_with_thoughts", True, "<｜tool▁calls▁begin｜>"),
        ("turns", False, None),
        ("one_turn_all", False, None),
    ],
)
def test_families_are_known_by_their_marks(template: str, thinks: bool, opening: str | None) -> None:
    dialect = go_dialect_of(TEMPLATES[template])
    assert dialect.thinks == thinks
    assert [one.opening for one in dialect.formats] == ([] if opening is None else [opening])


@pytest.mark.parametrize(
    ("template", "tags"),
    [
        (THINKING, ThinkingTags("<thoughts>", "</thoughts>")),
        ("{{ range $i, $_ := .Messages }}{{ with .Thinking }}[[{{ . }}]]{{ end }}{{ end }}", None),
        ("{{ range .Messages }}{{ if .Thinking }}a {{ .Thinking }} b{{ end }}{{ end }}", ThinkingTags("a", "b")),
        ("{{ range .Messages }}a{{ range .ToolCalls }}b{{ .Thinking }}c{{ end }}d{{ end }}", None),
        ("{{ range .Messages }}{{ .Thinking }}{{ end }}", None),
        ("a {{ .Thinking }} b{{ range .Messages }}{{ end }}", None),
        ("{{ range .Messages }}x<think>{{ .Thinking }}</think>y{{ end }}", ThinkingTags("<think>", "</think>")),
        ("{{ range .Messages }}[{{ .Thinking }}]{{ end }} not <think></think>", ThinkingTags("[", "]")),
        ("{{ range .Messages }}<reason>{{ .Thinking", None),
    ],
)
def test_thoughts_stand_between_what_is_around_them_in_the_template(template: str, tags: ThinkingTags | None) -> None:
    assert go_dialect_of(template).tags == tags


def test_a_thought_is_told_from_the_answer() -> None:
    answer = [Thought("Hm."), Text("Hi")]
    assert read(THINKING, "<thoughts>\nHm.\n</thoughts>\n\nHi") == answer
    assert read(THINKING, "Hm.\n</thoughts>Hi", prompt="assistant: <thoughts>\n") == answer
    assert read(THINKING, "Hi <thoughts>") == [Text("Hi <thoughts>")]


@pytest.mark.parametrize(
    ("template", "opening", "closings"),
    [
        (CALLS, "<call>", ("</call>",)),
        (NAMED, "<call>", ()),
        ("Action:\r\n{{ range .ToolCalls }}{{ . }}{{ end }}", "Action:", ()),
        ("{{ range .ToolCalls }}{{ .Function.Name }}: {{ end }}", "", ()),
        ('{{ range .ToolCalls }}\n{"name": {{ .Function.Name }}{{ end }}', "", ()),
        ("[{{ range .ToolCalls }}{{ . }}{{ end }}]", "", ()),
        ("", "", ()),
        ("{{ .Content }}<call>", "", ()),
    ],
)
def test_calls_come_after_what_comes_before_them_in_the_template(
    template: str, opening: str, closings: tuple[str, ...]
) -> None:
    (found,) = go_dialect_of(calling(template)).formats
    assert (found.opening, found.closings) == (opening, closings)


_SUNNY = ToolCall("weather", {"city": "Bern"})


@pytest.mark.parametrize(
    ("template", "written", "parts"),
    [
        (CALLS, '<call>\nweather {"city": "Bern"}\n</call>', [_SUNNY]),
        (CALLS, 'Let me see. <call>weather {"city": "Bern"}</call>', [Text("Let me see."), _SUNNY]),
        (CALLS, '<call>weather {"city": "Bern"}</call><call>time {}', [_SUNNY, ToolCall("time", {})]),
        (CALLS, '<call>{"name": "weather", "parameters": {"city": "Bern"}}', [_SUNNY]),
        (CALLS, '<call>{"name": "weather", "arguments": "{\\"city\\": \\"Bern\\"}"}', [_SUNNY]),
        (CALLS, '<call>{"calls": [{"function": {"name": "weather", "arguments": {"city": "Bern"}}}]}', [_SUNNY]),
        (CALLS, '<call>{"weather": {"city": "Bern"}}', [_SUNNY]),
        (CALLS, '<call>{"name": "weather"}', [ToolCall("weather", {})]),
        (CALLS, '<call>weather_at {"city": "Bern"}', [ToolCall("weather_at", {"city": "Bern"})]),
        (CALLS, '<call>unknown {"city": "Bern"}', [Text('<call>unknown {"city": "Bern"}')]),
        (CALLS, '<call>weather {"city": ', [Text('<call>weather {"city": ')]),
        (CALLS, "<call", [Text("<call")]),
        (CALLS, "", []),
        ("", ' {"name": "weather", "arguments": {"city": "Bern"}}', [_SUNNY]),
        ("", 'See: {"name": "weather", "arguments": {}}', [Text('See: {"name": "weather", "arguments": {}}')]),
        ("", '{"a": 1}', [Text('{"a": 1}')]),
    ],
)
def test_calls_are_read(template: str, written: str, parts: list[Part]) -> None:
    assert read(calling(template), written) == parts
    assert read(calling(template), *written) == parts


@given(st.data(), st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(), max_size=3))
def test_any_arguments_come_back_wherever_the_text_is_cut(data: st.DataObject, arguments: dict[str, Any]) -> None:
    name = data.draw(st.sampled_from(sorted(TOOLS)))
    written = data.draw(
        st.sampled_from(
            (
                f"<call>{name} {json.dumps(arguments)}</call>",
                f"<call>{json.dumps({'name': name, 'arguments': arguments})}</call>",
                f"<call>\n{json.dumps([{name: arguments}])[1:-1]}\n",
            )
        )
    )
    (call,) = read(calling(CALLS), *data.draw(cut(written)))
    assert call == ToolCall(name, arguments)


def test_a_template_that_uses_no_tools_calls_none() -> None:
    assert not go_dialect_of("{{ .Prompt }}<tool_call>").calls_tools
