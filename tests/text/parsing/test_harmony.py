"""Harmony as gpt-oss writes it, and as it damages it."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.text.parsing.pieces import cut

from swell.text.parsing import harmony
from swell.text.parsing.harmony import HarmonyParser
from swell.text.parsing.parser import merged
from swell.text.parsing.parts import Part, Text, Thought, ToolCall

TOOLS: dict[str, dict[str, Any]] = {
    "now": {"type": "object", "properties": {}},
    "save": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}
SAVE = "<|channel|>commentary to=functions.save <|constrain|>json<|message|>"
SAVED = ToolCall("save", {"path": "a"})


def parse(pieces: Sequence[str]) -> list[Part]:
    parser = HarmonyParser(TOOLS)
    return merged([*(part for piece in pieces for part in parser.feed(piece)), *parser.finish()])


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        (SAVE + '{"path": "a"}<|call|>', [SAVED]),
        (SAVE + '[{"path": "a"}]<|call|>', [SAVED]),
        (SAVE + '{"path": "a"}]}<|call|>', [SAVED]),
        (SAVE + '{"path": "a"}\n ]<|call|>', [SAVED]),
        (SAVE + '[{"path": "a"}, {"path": "b"}]<|call|>', [Text(SAVE + '[{"path": "a"}, {"path": "b"}]<|call|>')]),
        (SAVE + '{"path": "a"} and more<|call|>', [Text(SAVE + '{"path": "a"} and more<|call|>')]),
        (SAVE + '```json\n{"path": "a"}\n```<|call|>', [SAVED]),
        (SAVE + '"{\\"path\\": \\"a\\"}"<|call|>', [SAVED]),
        (SAVE + '{"name": "save", "arguments": {"path": "a"}}<|call|>', [SAVED]),
        (SAVE + '{"path": "a"<|call|>', [SAVED]),
        (SAVE + '{"path": "a"', [Text(SAVE + '{"path": "a"')]),
        (SAVE + '<|message|>{"path": "a"}<|call|>', [SAVED]),
        *(
            (SAVE.replace("functions.", namespace) + '{"path": "a"}<|call|>', [SAVED])
            for namespace in ("functions:", "assistant.functions.", "tools.", "")
        ),
        (SAVE.replace("save", "f.g") + "{}<|call|>", [ToolCall("f.g", {})]),
        (SAVE + '["a"]<|call|>', [Text(SAVE + '["a"]<|call|>')]),
        (SAVE + '{"path": "a', [Text(SAVE + '{"path": "a')]),
        (SAVE + "<|call|>", [ToolCall("save", {})]),
        (SAVE, [Text(SAVE)]),
        ("<|channel|>commentary to=functions.now<|message|>", [ToolCall("now", {})]),
        ("<|channel|>commentary to=functions.now<|message|> \n<|call|>", [ToolCall("now", {})]),
        ("<|channel|>commentary to=now<|message|>{}<|end|>", [ToolCall("now", {})]),
        (
            f'{SAVE}{{"path": "a"}}<|call|><|start|>assistant{SAVE}{{"path": "a"}}<|call|>',
            [SAVED, SAVED],
        ),
        ("<|channel|>analysis<|channel|>final<|message|>Hi<|return|>", [Text("Hi")]),
        (
            "<|channel|>analysis<|end|><|start|>assistant<|channel|>final<|message|>Hi",
            [Text("<|channel|>analysis<|end|>Hi")],
        ),
        ("<|channel|>final<|message|>a<|message|>b", [Text("a<|message|>b")]),
        (
            "<|channel|>analysis<|message|>a<|end|><|end|><|start|>assistant<|channel|>final<|message|>b",
            [Thought("a"), Text("b")],
        ),
        ("<|channel|>final<|message|>a <|b", [Text("a <|b")]),
    ],
)  # fmt: skip
def test_messages(output: str, parts: list[Part]) -> None:
    assert parse([output]) == parts
    assert parse(list(output)) == parts


_TEXT = st.lists(st.sampled_from([*"aé😀\"\\{}[]<|> \n'", *harmony.CONTROLS]), max_size=6).map("".join)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | _TEXT,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab_", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
_ARGUMENTS = st.dictionaries(st.text("ab_", min_size=1, max_size=3), _JSON, max_size=3)


@given(
    st.lists(_ARGUMENTS, min_size=1, max_size=3),
    st.sampled_from(["", " <|constrain|>json", " json", " code"]),
    st.sampled_from(["{}", "[{}]", "{}]", "{}}}", " {}\n"]),
    st.booleans(),
    st.data(),
)
def test_what_was_meant_comes_back(
    calls: list[dict[str, Any]], constraint: str, damage: str, compact: bool, data: st.DataObject
) -> None:
    separators = (",", ":") if compact else None
    bodies = [damage.format(json.dumps(one, ensure_ascii=compact, separators=separators)) for one in calls]
    head = f"<|channel|>commentary to=functions.save{constraint}<|message|>"
    output = "<|start|>assistant".join(f"{head}{body}<|call|>" for body in bodies)
    assert parse(data.draw(cut(output))) == [ToolCall("save", one) for one in calls]


@given(
    st.lists(st.sampled_from([*harmony.CONTROLS, "to=functions.now", "final", "analysis", "{", "}", "x ", "\n"])),
    st.data(),
)
def test_it_is_the_same_however_it_is_cut(shreds: list[str], data: st.DataObject) -> None:
    output = "".join(shreds)
    assert parse(data.draw(cut(output))) == parse([output])


@given(st.text(st.sampled_from('{}[]":,a1 \n'), min_size=1))
def test_what_cannot_be_read_is_text_and_all_of_it(body: str) -> None:
    output = f"{SAVE}{body}<|call|>"
    parts = parse([output])
    assert isinstance(parts[0], ToolCall) or parts == [Text(output)]


class Counted:
    """A pattern that counts the characters which it was given to search."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self.characters = 0

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        self.characters += len(text)
        return self._pattern.finditer(text)


@pytest.mark.parametrize("head", [SAVE, "<|channel|>", "<|channel|>final<|message|>"])
def test_each_character_is_looked_at_once(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a call of 40,000 characters in pieces of 4, most of which may begin a mark, each is searched twice at most."""
    output = head + '{"path": "' + "x<|c" * 10_000 + '"}<|call|>'
    counted = Counted(harmony._MARK)
    monkeypatch.setattr(harmony, "_MARK", counted)
    parts = parse([output[start : start + 4] for start in range(0, len(output), 4)])
    assert len(parts) == 1
    assert counted.characters < 2 * len(output)
