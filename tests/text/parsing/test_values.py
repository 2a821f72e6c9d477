"""JSON, strict first, and then as models write it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.text.parsing.values import parse_value

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["C:\\Users\\new", "it's", '"', "}", "\\"])
VALUES = st.recursive(
    _SCALARS | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
"""Whatever JSON can say."""


@given(VALUES, st.booleans())
def test_json_means_what_it_means(value: Any, is_ascii: bool) -> None:
    assert parse_value(json.dumps(value, ensure_ascii=is_ascii)) == value


@given(VALUES)
def test_a_comma_too_many_changes_nothing(value: Any) -> None:
    assert parse_value(f"[{json.dumps(value)},]") == [value]


@given(VALUES)
def test_a_value_that_breaks_off_is_none(value: Any) -> None:
    text = json.dumps([value, {"a": value}])
    for end in range(len(text)):
        with pytest.raises(ValueError):  # noqa: PT011
            parse_value(text[:end])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': True, \"b\": [None, False,],}", {"a": True, "b": [None, False]}),
        ("{'say': 'it\\'s \"so\"'}", {"say": 'it\'s "so"'}),
        ("{name: 'x', user.id: 1}", {"name": "x", "user.id": 1}),
        ('{"a": {"b": [1, 2}}', {"a": {"b": [1, 2]}}),
        ('{"a": [{"b": 1], }', {"a": [{"b": 1}]}),
        ('{"a": "b\n\tc"}', {"a": "b\n\tc"}),
        ("{'a': '\\u00e9\\ud83d\\ude00\\n'}", {"a": "é😀\n"}),
        ("None", None),
        ('{"a": "say "hi" to "them""}', {"a": 'say "hi" to "them"'}),
        ("{'a': 'it's', 'b': 1}", {"a": "it's", "b": 1}),
        ('{"a": "x" "b": [1] "c": 2}', {"a": "x", "b": [1], "c": 2}),
        ('{"a": 1, // one\n "b": /* two */ 2}', {"a": 1, "b": 2}),
        ('{"a": "http://b", "c": "/* d */"}', {"a": "http://b", "c": "/* d */"}),
    ],
)
def test_as_models_write_it(text: str, value: Any) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"C:\Users\new\temp.txt", r"C:\Users\new\temp.txt"),
        (r"\\server\share\notes", r"\\server\share\notes"),
        (r"C:\\Users\new", "C:\\Users\new"),  # it is JSON
        (r"C:\\Users\x", r"C:\Users\x"),
        (r"^\d+\n\s*\"$", '^\\d+\n\\s*"$'),
        (r"\u00e9\uzzzz", "é\\uzzzz"),
    ],
)
def test_backslashes(written: str, meant: str) -> None:
    assert parse_value(f'{{"a": "{written}"}}') == {"a": meant}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a": now}',
        '{"a" 1}',
        "{: 1}",
        "{,}",
        "[,]",
        "[1 2]",
        "[1,,2]",
        '{"a": 1}}',
        '[{"a": 1], ]',
        '{"a": 1} {"b": 2}',
        '{"a": "f("b", "c")"}',
        '{"a": "{"b": 1}"}',
        '["a "b", c"]',
        '{"a": "b',
        "[01]",
        "[NaN]",
        "[1e999]",
        "[1e999,]",
        '["\\ud83d"]',
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_value(text)
