"""Templates in Go's language."""

import pytest

from swell.errors import InvalidRequestError, InvalidTemplateError
from swell.text.prompts.override import render_override


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ .Prompt }}", "Hi"),
        ("{{.System}} {{- .Prompt -}} \n.", "SHi."),
        ("a {{- /* a comment */ -}} b", "ab"),
        ("{{ if .System }}s{{ else }}none{{ end }}", "s"),
        ("{{ if not .System }}none{{ else if .Prompt }}p{{ else }}x{{ end }}", "p"),
        ("{{ if .Response }}r{{ end }}{{ if .Prompt }}<{{ .Prompt }}>{{ end }}A: {{ .Response }}</s>\n", "<Hi>A: "),
        ("{{ if not .Prompt }}{{ .Response }}{{ end }}x", "x"),
        ("{{ if .Prompt }}{{ if not .System }}a{{ end }}b{{ end }}", "b"),
    ],
)
def test_rendered(template: str, expected: str) -> None:
    assert render_override(template, system="S", prompt="Hi") == expected


@pytest.mark.parametrize(
    "template",
    [
        *("{{ .Messages }}", "{{ range .Messages }}{{ end }}", "{{ end }}", "{{ else }}", "{{ if .Prompt }}", "{{}}"),
        *("{{ if and .System .Prompt }}x{{ end }}", "{{ if .Prompt }}{{ else }}{{ else }}{{ end }}", "{{ $x := 1 }}"),
        *("{{ if .Prompt }}{{ else with .System }}{{ end }}", "{{ if }}{{ end }}", "{{ .Prompt | len }}"),
        "{% if messages %}{{ messages }}{% endif %}",
        *("{{-}}", "{{- -}}x", "{{ if .Prompt }}" * 200 + "{{ end }}" * 200),
    ],
)
def test_refused(template: str) -> None:
    with pytest.raises(InvalidTemplateError):
        render_override(template, system="S", prompt="Hi")


@pytest.mark.parametrize("template", ["{{" + " " * 1_000_000, "{{" * 500_000])
def test_braces_that_never_end_are_text(template: str) -> None:
    """In linear time: a regular expression took minutes for 1,200 blanks."""
    assert render_override(template, system="S", prompt="Hi") == template


def test_an_endless_action_is_refused() -> None:
    with pytest.raises(InvalidTemplateError):
        render_override("{{ " + "- " * 500_000 + "}}", system="S", prompt="Hi")


def test_what_is_written_has_a_limit() -> None:
    with pytest.raises(InvalidRequestError, match="more than 16777216 characters"):
        render_override("{{ .Prompt }}" * 1000, system="", prompt="x" * 100_000)
