"""What models mean comes back, or everything that they wrote, whatever they do to their formats."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.text.parsing.pieces import cut
from tests.text.parsing.written import FORMATS, Arguments, Call, Written

from swell.text.parsing.dialect import dialect_of
from swell.text.parsing.parser import merged
from swell.text.parsing.parts import Part, ToolCall

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "s": {"type": "string"},
        "t": {"type": "string"},
        "r": {"type": "string"},
        "i": {"type": "integer"},
        "x": {"type": "number"},
        "b": {"type": "boolean"},
        "l": {"type": "array"},
        "o": {"type": "object"},
        "n": {"type": ["integer", "null"]},
    },
    "required": ["r"],
}
TOOLS = {"f": SCHEMA, "g": SCHEMA}

every_format = pytest.mark.parametrize("written", FORMATS, ids=repr)


def parse(written: Written, pieces: Sequence[str]) -> list[Part]:
    parser = dialect_of(written.template).parser("", TOOLS)
    return merged([*(part for piece in pieces for part in parser.feed(piece)), *parser.finish()])


def meant(calls: Sequence[Call]) -> list[Part]:
    return [ToolCall(name, arguments) for name, arguments in calls]


def arguments(strings: st.SearchStrategy[str]) -> st.SearchStrategy[Arguments]:
    items = st.booleans() | st.integers(-(10**9), 10**9) | strings
    nested = st.lists(items, max_size=2) | st.dictionaries(st.sampled_from(["a", "b_c"]), items, max_size=2)
    values = {
        "s": strings,
        "t": strings,
        "i": st.integers(-(10**9), 10**9),
        "x": st.floats(-1e9, 1e9).filter(lambda number: number != int(number)) | st.integers(0, 9),
        "b": st.booleans(),
        "l": st.lists(nested | items, max_size=3),
        "o": st.dictionaries(st.sampled_from(["a", "b_c", "d"]), nested | items | st.none(), max_size=3),
        "n": st.none() | st.integers(0, 9),
    }
    return st.lists(st.sampled_from([*values]), max_size=4, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({key: values[key] for key in keys} | {"r": strings})
    )


def calls(strings: st.SearchStrategy[str]) -> st.SearchStrategy[list[Call]]:
    return st.lists(st.tuples(st.sampled_from("fg"), arguments(strings)), min_size=1, max_size=3)


WORDS = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda word: word not in ("null", "true", "false", "nan"))


def anything(written: Written) -> st.SearchStrategy[list[Call]]:
    """Calls with strings of anything that the format can say, and of one of its own tags.

    Several tags may be the end of a call and the beginning of another one, which nothing tells from real ones.
    """
    letters = st.text(st.sampled_from("aé😀\"'\\{}[](),:=<|> \n\t"), max_size=8)

    def marked(mark: str) -> st.SearchStrategy[list[Call]]:
        whole = st.tuples(letters, st.sampled_from(["", mark, mark + mark]), letters).map("".join)
        return calls(whole.filter(lambda text: not any(one in text for one in written.unspeakable)))

    return st.sampled_from(["", *written.marks]).flatmap(marked)


@every_format
@settings(max_examples=40)
@given(st.data())
def test_what_is_written_as_it_should_be_is_read_as_it_is_meant(written: Written, data: st.DataObject) -> None:
    intended = data.draw(anything(written))
    assert parse(written, data.draw(cut(written.write(intended)))) == meant(intended)


damaged = pytest.mark.parametrize(
    ("written", "damage"),
    [(written, damage) for written in FORMATS for damage in written.damages],
    ids=lambda value: repr(value) if isinstance(value, Written) else "",
)


@damaged
@settings(max_examples=25)
@given(st.data())
@pytest.mark.slow
def test_what_is_damaged_is_read_as_it_is_meant(written: Written, damage: Any, data: st.DataObject) -> None:
    """Strings are words, which no damage makes ambiguous."""
    intended = data.draw(calls(WORDS))
    assert parse(written, data.draw(cut(damage(written.write(intended))))) == meant(intended)


@every_format
@settings(max_examples=40)
@given(st.data())
@pytest.mark.slow
def test_what_is_cut_off_makes_no_other_call(written: Written, data: st.DataObject) -> None:
    """Where an output ends, calls that are whole are calls, and the rest is text.

    Only a tag behind a bracket, where a string breaks off, looks like the end of a call that lacks the string's.
    """
    intended = data.draw(anything(written))
    end = re.compile(rf"[}})\]](?:\s|\\[nt])*(?:{'|'.join(map(re.escape, written.marks)) or '(?!)'})")
    assume(not end.search(json.dumps(intended, ensure_ascii=False)))
    output = written.write(intended)
    output = output[: data.draw(st.integers(0, len(output)))]
    parts = parse(written, data.draw(cut(output)))
    assert parts == parse(written, [output])
    found = [part for part in parts if isinstance(part, ToolCall)]
    assert found == meant(intended)[: len(found)]
