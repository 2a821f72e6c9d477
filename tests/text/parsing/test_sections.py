"""Calls of DeepSeek and Kimi, and what the models do to their tags."""

from collections.abc import Sequence
from typing import Any

import pytest

from swell.text.parsing.calls import meant_call
from swell.text.parsing.dialect import dialect_of
from swell.text.parsing.names import numbered_name
from swell.text.parsing.parser import merged
from swell.text.parsing.parts import Part, Text, Thought, ToolCall

TOOLS: dict[str, dict[str, Any]] = {
    "look": {"type": "object", "properties": {"city": {"type": "string"}}},
    "look_at2": {"type": "object", "properties": {"name": {"type": "string"}}},
    "now": {"type": "object", "properties": {}},
}
KIMI, DEEPSEEK = "<think></think><|tool_calls_section_begin|>", "<think></think><｜tool▁calls▁begin｜>"
OSLO, ROME, NOW = ToolCall("look", {"city": "Oslo"}), ToolCall("look", {"city": "Rome"}), ToolCall("now", {})
OPEN, CLOSE, END = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_end|>"
BARS, BARS_END, SEP = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁sep｜>"
BAR, BAR_END = "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"


def parse(template: str, pieces: Sequence[str]) -> list[Part]:
    parser = dialect_of(template).parser("", TOOLS)
    return merged([*(part for piece in pieces for part in parser.feed(piece)), *parser.finish()])


def kimi(written: str, arguments: str = '{"city": "Oslo"}', end: str = END) -> str:
    return f"<|tool_call_begin|>{written}<|tool_call_argument_begin|>{arguments}{end}"


def bars(name: str = "look", arguments: str = '{"city": "Oslo"}', end: str = BAR_END) -> str:
    return f"{BAR}{name}{SEP}{arguments}{end}"


def fenced(arguments: str = '{"city": "Oslo"}', fence: str = "\n```json\n") -> str:
    return f"{BAR}function{SEP}look{fence}{arguments}\n```{BAR_END}"


def section(*calls: str) -> str:
    return "".join((OPEN, *calls, CLOSE))


def block(*calls: str) -> str:
    return "".join((BARS, *calls, BARS_END))


_TAGS_INSIDE = '{"city": "' + END + CLOSE + BAR_END + BARS_END + '."}'
_INSIDE = ToolCall("look", {"city": f"{END}{CLOSE}{BAR_END}{BARS_END}."})
_WHOLE = '{"name": "look", "arguments": {"city": "Oslo"}}'
_UNREADABLE = (
    OPEN + kimi("look:0", "{oh", end=""),
    section(kimi("look:0", "Oslo")),
    f"{OPEN}{CLOSE}Hi",
    f"{OPEN} is a tag",
    f"{OPEN}<|tool_call_begin|>{'x' * 400}",
    BARS + bars(arguments='{"city": "Oslo"}, and'),
)

CALLS: list[tuple[str, str, Sequence[Part]]] = [
    *(
        (KIMI, section(kimi(written)), [OSLO])
        for written in (
            "functions.look:0",
            " functions.look:12 ",
            "functionslook5",
            "functions.look5",
            "functions_look_1",
            "functions:look:1",
            "look",
            "look:3",
            "tools.look:3",
        )
    ),
    (KIMI, section(kimi("functions.f:0")), [ToolCall("f", {"city": "Oslo"})]),
    (KIMI, section(kimi("functions_look_at2_3", "{}")), [ToolCall("look_at2", {})]),
    (KIMI, section(kimi("call_1a2b", '{"name": "look", "city": "Oslo"}')), [OSLO]),
    (KIMI, section(kimi("call_1a2b", _WHOLE)), [OSLO]),
    (KIMI, kimi("functions.look:0"), [OSLO]),
    (KIMI, f"Hm.\n{kimi('functions_look_0')}{kimi('functions_now_1', '{}')}{CLOSE}", [Text("Hm."), OSLO, NOW]),
    (KIMI, f"<|tool_call_section_begin|>{kimi('look:0')}<|tool_call_section_end|>Ok", [OSLO, Text("Ok")]),
    (KIMI, section(kimi("look:0")) + "\n" + section(kimi("now:1", "{}")), [OSLO, NOW]),
    (KIMI, section(kimi("look:0", end=""), kimi("now:1", "{}")), [OSLO, NOW]),
    (KIMI, section(kimi("look:0", end="")), [OSLO]),
    (KIMI, section(kimi("look:0", '{"city": "Oslo"')), [OSLO]),
    (KIMI, section(kimi("look:0", '{"city": "Oslo"}}')), [OSLO]),
    (KIMI, section(kimi("now:0", "")), [NOW]),
    (KIMI, section(kimi("now:0", "[]")), [NOW]),
    (KIMI, section(kimi("look:0", _TAGS_INSIDE)), [_INSIDE]),
    (KIMI, f"<think>Hm.{kimi('functions.look:0')}", [Thought("Hm."), OSLO]),
    (KIMI, f"{OPEN}{kimi('look:0')}<|tool_call_begin|>functions.lo", [OSLO, Text("<|tool_call_begin|>functions.lo")]),
    (DEEPSEEK, block(bars(), bars("now", "{}")), [OSLO, NOW]),
    (DEEPSEEK, block("\n", fenced(), "\n", fenced('{\n  "city": "Rome"\n}'), "\n") + "Ok", [OSLO, ROME, Text("Ok")]),
    *(
        (DEEPSEEK, block(fenced(fence=fence)), [OSLO])
        for fence in ("\n```\n", "```json", "\n\n```JSON\n", f"{SEP}\n```\n")
    ),
    (DEEPSEEK, block(bars(f"function{SEP}look", end="")), [OSLO]),
    (DEEPSEEK, block(bars("look", '```json\n{"city": "Oslo"}\n```')), [OSLO]),
    (DEEPSEEK, block(bars("functions.look", '"{\\"city\\": \\"Oslo\\"}"')), [OSLO]),
    (DEEPSEEK, f"Hm.{bars()}", [Text("Hm."), OSLO]),
    (DEEPSEEK, f"Hm.{fenced()}{BARS_END}", [Text("Hm."), OSLO]),
    (DEEPSEEK, f"{BARS}{BARS}{bars()}", [OSLO]),
    (DEEPSEEK, BARS + bars(end=""), [OSLO]),
    (DEEPSEEK, block(bars("now", "")), [NOW]),
    (DEEPSEEK, block(fenced('{"city": "```\n."}')), [ToolCall("look", {"city": "```\n."})]),
    (DEEPSEEK, block(bars("look", _TAGS_INSIDE)), [_INSIDE]),
    (DEEPSEEK, block(bars("function", '{"city": "Oslo"}')), [ToolCall("function", {"city": "Oslo"})]),
    *(
        (DEEPSEEK, block(bars(), fenced()).replace("｜", bar).replace("▁", joint), [OSLO, OSLO])
        for bar, joint in (("｜", "_"), ("｜", " "), ("｜", r"\_"), ("|", "▁"), ("|", "_"))
    ),
    *((DEEPSEEK if BARS in output else KIMI, output, [Text(output)]) for output in _UNREADABLE),
]


@pytest.mark.parametrize(("template", "output", "parts"), CALLS)
def test_calls_are_read_whatever_is_missing_around_them(template: str, output: str, parts: Sequence[Part]) -> None:
    assert parse(template, [output]) == parts
    assert parse(template, list(output)) == parts
    for cut in range(len(output)):
        assert parse(template, [output[:cut], output[cut:]]) == parts


def test_a_name_stays_what_is_written_if_no_tool_is_called_so() -> None:
    assert numbered_name("functions.f2:1", TOOLS) == "f2"
    assert numbered_name(":1", TOOLS) == ":1"
    assert numbered_name("look2", TOOLS) == "look"
    assert numbered_name("look2", {**TOOLS, "look2": {}}) == "look2"


def test_a_call_in_the_place_of_its_arguments() -> None:
    whole = {"name": "look", "arguments": {"city": "Oslo"}}
    assert meant_call("look", whole, TOOLS) == OSLO
    assert meant_call("now", whole, TOOLS) == ToolCall("now", whole)
    assert meant_call("look", {**whole, "more": 1}, TOOLS) == ToolCall("look", {**whole, "more": 1})
    assert meant_call("look_at2", {"name": "look"}, TOOLS) == ToolCall("look_at2", {"name": "look"})
    assert meant_call("call_1", {"name": "nobody"}, TOOLS) == ToolCall("call_1", {"name": "nobody"})
    assert meant_call("look", [whole], TOOLS) == OSLO
    assert meant_call("look", [whole, whole], TOOLS) is None
