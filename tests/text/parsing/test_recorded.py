"""Every format, cut everywhere."""

import itertools
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.text.parsing.newer import NEWER
from tests.text.parsing.recorded import CALLS, Recorded
from tests.text.parsing.recorded import RECORDED as OLDER
from tests.text.parsing.reported import REPORTED

from swell.text.parsing.dialect import dialect_of
from swell.text.parsing.parser import Parser, merged
from swell.text.parsing.parts import Part, Text, ToolCall

RECORDED = [*OLDER, *NEWER, *REPORTED]

every_recording = pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)


def _parser(recorded: Recorded) -> Parser:
    return dialect_of(recorded.template).parser(recorded.prompt, recorded.tools)


def _parse(parser: Parser, pieces: Iterable[str]) -> Sequence[Part]:
    parts = [part for piece in pieces for part in parser.feed(piece)]
    return merged([*parts, *parser.finish()])


@every_recording
def test_whole(recorded: Recorded) -> None:
    assert _parse(_parser(recorded), [recorded.output]) == recorded.parts


@every_recording
def test_letter_by_letter(recorded: Recorded) -> None:
    assert _parse(_parser(recorded), recorded.output) == recorded.parts


@every_recording
def test_cut_once(recorded: Recorded) -> None:
    for cut in range(len(recorded.output) + 1):
        pieces = recorded.output[:cut], recorded.output[cut:]
        assert _parse(_parser(recorded), pieces) == recorded.parts, pieces


@given(st.sampled_from(RECORDED), st.data())
def test_cut_anywhere(recorded: Recorded, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(recorded.output)), max_size=12).map(sorted))
    pieces = [recorded.output[start:end] for start, end in itertools.pairwise([0, *cuts, len(recorded.output)])]
    assert _parse(_parser(recorded), pieces) == recorded.parts


_TAGS = sorted({control for one in CALLS for control in dialect_of(one.template).controls(one.tools)})
_SHREDS = st.one_of(
    st.sampled_from(
        [*_TAGS, "<think>", "</think>", "{", "}", "[", "]", '"', "\\", "call:", "now", "(", ")", "```", "\n"]
    ),
    st.sampled_from([recorded.output for recorded in CALLS]).flatmap(
        lambda output: st.integers(0, len(output)).map(lambda cut: output[:cut])
    ),
    st.text(max_size=5),
)


@given(st.sampled_from([recorded.template for recorded in CALLS]), st.lists(_SHREDS, max_size=12))
def test_nothing_is_lost_of_what_is_no_call(template: str, shreds: list[str]) -> None:
    """Whatever a model writes, all that isn't blank and stands outside of calls comes back, in order."""
    output = "".join(shreds)
    dialect = dialect_of(template)
    parts = _parse(dialect.parser("", {"now": {}}), shreds)
    assert parts == _parse(dialect.parser("", {"now": {}}), [output])
    texts = [part.text for part in parts if not isinstance(part, ToolCall)]
    written = iter(output)
    assert all(letter in written for text in texts for letter in text)
    if len(texts) == len(parts) and "<|start|>" not in template:
        assert _without_tags("".join(texts)) == _without_tags(output)


def _without_tags(text: str) -> str:
    return "".join(text.replace("<think>", "").replace("</think>", "").split())


def test_text_does_not_wait() -> None:
    """Only what might begin a tag is held back."""
    parser = dialect_of("<think></think><tool_call>").parser("", {"now": {}})
    assert parser.feed("The answer") == [Text("The answer")]
    assert parser.feed(" <") == []
    assert parser.feed("b>") == [Text(" <b>")]


def test_a_call_is_given_as_soon_as_it_is_complete() -> None:
    parser = dialect_of("{{ tools }}").parser("", {"now": {}})
    assert parser.feed('{"name": "now"') == []
    assert parser.feed("}") == [ToolCall("now", {})]
