"""What no template can do: take long to read, fail in ways that nobody expects, or go on without end."""

import contextlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gotemplate.written import CASES, DATA

from swell.errors import GoTemplateError, InvalidTemplateError, TemplateRunError
from swell.gotemplate.execution import DEPTH_MAX, execute
from swell.gotemplate.parser import CHARACTERS_MAX, NESTED_MAX, check_template, parse

_SHREDS = (
    "{{",
    "}}",
    "{{- ",
    " -}}",
    "{{ if ",
    "{{ range ",
    "{{ with ",
    "{{ else }}",
    "{{ end }}",
    '{{ define "x" }}',
    '{{ template "x" . }}',
    ".s",
    ".list",
    ".map.a",
    "$",
    "$x",
    " := ",
    " = ",
    ", ",
    " | ",
    "(",
    ")",
    "print ",
    'printf "%v %5.2f" ',
    "index ",
    "slice ",
    "eq ",
    "and ",
    "1",
    "-1",
    "2.5",
    "'a'",
    '"text"',
    "`raw`",
    "nil",
    "true",
    " ",
    "\n",
    "text",
    "/* a */",
    "{{/*",
    "*/}}",
    ".",
    "é",
    "\x00",
    "break",
    "continue",
)


@given(st.lists(st.sampled_from(_SHREDS), max_size=30).map("".join))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    if (error := _failure(text)) is not None:
        assert 1 <= error.line <= text.count("\n") + 1
        assert str(error).startswith("template error: line ")


@given(st.sampled_from([template for template, _ in CASES]), st.integers(0, 40), st.sampled_from(_SHREDS))
def test_a_damaged_template_is_a_template_or_refused(template: str, place: int, shred: str) -> None:
    error = _failure(template[:place] + shred + template[place + 1 :])
    assert error is None or error.reason


def _failure(text: str) -> GoTemplateError | None:
    try:
        execute(parse(text), DATA)
    except GoTemplateError as error:
        return error
    return None


@given(st.text(max_size=60))
def test_text_without_braces_is_written_as_it_is(text: str) -> None:
    if "{{" not in text and text.isprintable():
        assert execute(parse(text), None) == text


@given(st.text(st.characters()))
def test_a_value_is_written_as_it_is(value: str) -> None:
    written = execute(parse('{{ "[" }}{{ .a }}]{{ print .a }}{{ printf "%s" .a }}'), {"a": value})
    clean = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in value)
    assert written == f"[{clean}]{clean}{clean}"


@pytest.mark.parametrize(
    ("opening", "closing"), [("{{ if 1 }}", "{{ end }}"), ("{{ range 1 }}", "{{ end }}"), ("{{ with 1 }}", "{{ end }}")]
)
def test_blocks_inside_each_other_are_limited(opening: str, closing: str) -> None:
    assert execute(parse(opening * NESTED_MAX + "x" + closing * NESTED_MAX), None) == "x"
    with pytest.raises(InvalidTemplateError, match=str(NESTED_MAX)):
        check_template(opening * (NESTED_MAX + 1) + closing * (NESTED_MAX + 1))


def test_parentheses_inside_each_other_are_limited() -> None:
    def nested(count: int) -> str:
        return "{{ " + "(print 1 | print " * count + "2" + ")" * count + " }}"

    check_template(nested(NESTED_MAX))
    with pytest.raises(InvalidTemplateError, match=str(NESTED_MAX)):
        check_template(nested(NESTED_MAX + 1))


def test_a_template_that_calls_itself_ends() -> None:
    with pytest.raises(TemplateRunError, match=str(DEPTH_MAX)):
        execute(parse('{{ define "x" }}{{ if 1 }}{{ template "x" . }}{{ end }}{{ end }}{{ template "x" . }}'), None)


def test_a_long_chain_of_else_is_no_nesting() -> None:
    text = (
        "{{ if eq . 0 }}0"
        + "".join(f"{{{{ else if eq . {number} }}}}{number}" for number in range(1, 500))
        + "{{ end }}"
    )
    assert execute(parse(text), 499) == "499"


def test_data_inside_each_other_are_limited() -> None:
    data: list[object] = []
    for _ in range(5000):
        data = [data]
    with pytest.raises(TemplateRunError, match="nested"):
        execute(parse("{{ . }}"), data)


def test_a_template_that_is_too_long_is_refused_unread() -> None:
    with pytest.raises(InvalidTemplateError, match=str(CHARACTERS_MAX)):
        check_template("x" * (CHARACTERS_MAX + 1))


@pytest.mark.parametrize(
    "text",
    [
        "{{.}}",
        "{{ 1 | print }}",
        "{{ (1) }}",
        "{{",
        '{{ "',
        "a {{- 1 -}} ",
        "{{/**/}}",
        "{{ $x := 1 }}",
        "{{if 1}}{{end}}",
        "\n",
        "{{ `",
        "  {{- ",
        "{{ 1e1 }}",
        "{{ if 1 }}{{ else if 1 }}",
        "{{ print 1 2 3 4 }}",
        "{{ ' ",
        "{{ .a.b.c.d.e }}",
        '{{ "\\u00e9" }}',
        "{{ . -}} ",
    ],
)
def test_reading_takes_linear_time(text: str) -> None:
    long, short = (_calls_to_read((text * length)[:length]) for length in (CHARACTERS_MAX, CHARACTERS_MAX // 8))
    assert long < 9 * short + 1000


def _calls_to_read(text: str) -> int:
    """How many functions are called to read a template."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        with contextlib.suppress(InvalidTemplateError):
            parse.__wrapped__(text)
    finally:
        sys.setprofile(None)
    return calls


def test_a_line_is_named() -> None:
    with pytest.raises(InvalidTemplateError, match="line 3"):
        check_template("a\n{{ 1 }}\n{{ unknown }}\n")
    with pytest.raises(TemplateRunError, match="line 2"):
        execute(parse("\n{{ .a.b }}"), {"a": 1})
    with pytest.raises(InvalidTemplateError, match="currentDate"):
        check_template("{{ unknown }}")
