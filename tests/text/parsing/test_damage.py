"""Calls of any values, written as models write them, and damaged: what was meant comes back, or all of the text."""

import itertools
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.text.parsing.recorded import EXAMPLE, GLM, GLM_EXAMPLE, XML
from tests.text.parsing.test_values import VALUES

from swell.text.parsing.brackets import Brackets
from swell.text.parsing.dialect import dialect_of
from swell.text.parsing.markup import FUNCTION, KEYS, MarkedCall, Markup
from swell.text.parsing.parser import merged
from swell.text.parsing.parts import Part, Text, Thought, ToolCall

TOOLS: dict[str, dict[str, Any]] = {
    "write": {
        "properties": {
            "path": {"type": "string"},
            "text": {"type": "string"},
            "items": {"type": "array"},
            "extra": {"type": ["object", "null", "number", "boolean"]},
        }
    },
    "now": {"properties": {}},
}

_SHREDS = ["</tool_call>", "<tool_call>", "</parameter>", "</function>", "</arg_value>", "</arg_key>", "```", "{", "\n"]
_TEXTS = st.lists(
    st.sampled_from([*_SHREDS, "'", '"', "\\", "C:\\new", "x", " ", EXAMPLE, GLM_EXAMPLE])
    | st.text("ab\n", max_size=3),
    max_size=5,
).map(lambda shreds: "".join(shreds) + ".")
"""Texts with tags. They end in a point: a value that ends in a closing tag looks like one that is closed twice."""

_ARGUMENTS = st.fixed_dictionaries(
    {"path": st.text("abc/.", min_size=1, max_size=5)},
    optional={
        "text": _TEXTS,
        "items": st.lists(VALUES, max_size=2),
        "extra": st.none()
        | st.booleans()
        | st.integers()
        | st.dictionaries(st.text("ab", max_size=2), VALUES, max_size=2),
    },
)
_CALLS = st.lists(
    _ARGUMENTS.map(lambda arguments: ToolCall("write", arguments)) | st.just(ToolCall("now", {})),
    min_size=1,
    max_size=3,
)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _as_json(call: ToolCall) -> str:
    document = {"name": call.name, "arguments": call.arguments}
    return f"<tool_call>\n{json.dumps(document, ensure_ascii=False)}\n</tool_call>"


def _as_functions(call: ToolCall) -> str:
    inside = "".join(f"<parameter={k}>\n{_as_text(v)}\n</parameter>\n" for k, v in call.arguments.items())
    return f"<tool_call>\n<function={call.name}>\n{inside}</function>\n</tool_call>"


def _as_keys(call: ToolCall) -> str:
    pairs = call.arguments.items()
    inside = "".join(f"<arg_key>{k}</arg_key>\n<arg_value>{_as_text(v)}</arg_value>\n" for k, v in pairs)
    return f"<tool_call>{call.name}\n{inside}</tool_call>"


_FORMATS: dict[str, tuple[str, Callable[[ToolCall], str]]] = {
    "JSON": ("<tool_call>", _as_json),
    "functions": (XML, _as_functions),
    "keys": (GLM, _as_keys),
}
every_format = pytest.mark.parametrize("name", _FORMATS)

_DAMAGES: tuple[tuple[str, str], ...] = (
    ("<tool_call>", "<tool_call>\n<tool_call>"),
    ("</tool_call>", "</tool_call>\n</tool_call>"),
    ("</tool_call>", ""),
    ("</function>\n", ""),
    ("</function>\n", "</function>\n</function>\n"),
    ("</parameter>\n", ""),
    ("</parameter>\n", "</parameter>\n</parameter>\n"),
    ("</arg_key>", ""),
    ("</arg_key>", "</arg_key></arg_key>"),
    ("</arg_value>\n", "\n"),
    ("}\n</tool_call>", "}}\n</tool_call>"),
    ("}\n</tool_call>", "\n</tool_call>"),
    ("}\n</tool_call>", ",}\n</tool_call>"),
    ("<tool_call>\n{", "<tool_call>\n```json\n{"),
    ("}\n</tool_call>", "}\n```\n</tool_call>"),
)


def _parsed(template: str, pieces: Sequence[str]) -> list[Part]:
    parser = dialect_of(template).parser("", TOOLS)
    return merged([*(part for piece in pieces for part in parser.feed(piece)), *parser.finish()])


def _cut(data: st.DataObject, text: str) -> list[str]:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=12).map(sorted))
    return [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]


@every_format
@given(_CALLS, st.data())
def test_any_call_comes_back(name: str, calls: list[ToolCall], data: st.DataObject) -> None:
    template, write = _FORMATS[name]
    output = "\n".join(map(write, calls))
    assert _parsed(template, _cut(data, output)) == calls


_PLAIN = st.fixed_dictionaries(
    {"path": st.text("abc/.", min_size=1, max_size=5)},
    optional={"text": st.text("ab.", min_size=1), "items": st.just([1])},
).map(lambda arguments: ToolCall("write", arguments))


@every_format
@given(_PLAIN, st.sampled_from(_DAMAGES), st.data())
def test_damage_costs_nothing_but_the_call(
    name: str, call: ToolCall, damage: tuple[str, str], data: st.DataObject
) -> None:
    """Either the call that was meant is understood, or all that was written is shown."""
    template, write = _FORMATS[name]
    output = write(call).replace(*damage, 1)
    parts = _parsed(template, _cut(data, output))
    assert parts in ([call], [Text(output)])


@every_format
@given(_CALLS, st.lists(st.sampled_from(_DAMAGES), max_size=4), st.data())
def test_the_parts_do_not_depend_on_the_pieces(
    name: str, calls: list[ToolCall], damages: list[tuple[str, str]], data: st.DataObject
) -> None:
    template, write = _FORMATS[name]
    output = "\n".join(map(write, calls))
    for damage in damages:
        output = output.replace(*damage, 1)
    assert _parsed(template, _cut(data, output)) == _parsed(template, [output])


class _Counted:
    """A pattern that counts the characters it looks at."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self.looked_at = 0

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        found = self._pattern.search(text, start)
        self.looked_at += (len(text) if found is None else found.end()) - start
        return found

    def finditer(self, text: str, start: int = 0) -> list[re.Match[str]]:
        self.looked_at += len(text) - start
        return list(self._pattern.finditer(text, start))


def _work(markup: Markup, output: str) -> int:
    tags, begun = _Counted(markup.tags), _Counted(markup.begun)
    block = MarkedCall(Markup(cast(re.Pattern[str], tags), cast(re.Pattern[str], begun)), TOOLS)
    assert not any(block.look(output[:end], is_final=False) for end in range(0, len(output), 7))
    return tags.looked_at + begun.looked_at


@pytest.mark.parametrize("filling", [*_SHREDS, "x", "<arg_key>", "<parameter=text>", "<", EXAMPLE])
def test_tags_cost_work_in_proportion(filling: str) -> None:
    size = 4000 // len(filling)
    for markup, start in (
        (FUNCTION, "<tool_call>\n<function=write>\n<parameter=text>\n."),
        (KEYS, "<tool_call>write\n<arg_key>text</arg_key>\n<arg_value>."),
    ):
        assert _work(markup, start + filling * 4 * size) < 5 * _work(markup, start + filling * size)


@pytest.mark.parametrize("filling", ["</tool_call>", '"', "'", "{", "[", "}", "\\", "x"])
def test_brackets_cost_work_in_proportion(filling: str) -> None:
    def work(size: int) -> int:
        text = '{"a": "' + filling * size
        value = Brackets(0, ("</tool_call>",))
        marks = value._marks = cast(re.Pattern[str], _Counted(value._marks))
        for end in range(0, len(text), 7):
            value.find(text[:end])
        return cast(_Counted, marks).looked_at

    assert work(4000) < 5 * work(1000)


def test_more_calls_than_the_stack_is_deep_end_a_thought_at_once() -> None:
    parser = dialect_of("<think></think><tool_call>").parser("<think>", {"f": {}})
    text = '<tool_call>{"name": "f"}</tool_call>' * 2000
    assert [*parser.feed(f"Hm.{text}"), *parser.finish()] == [Thought("Hm."), *[ToolCall("f", {})] * 2000]
