"""Chat templates."""

from typing import Any

import pytest

from swell.errors import InvalidRequestError
from swell.text.prompts.messages import Message
from swell.text.prompts.template import render, without_template

_HELLO: list[dict[str, object]] = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]


def _render(template: str, **kwargs: Any) -> str:
    return render(template, _HELLO, bos_token="<s>", eos_token="</s>", **kwargs)


def test_variables() -> None:
    template = "{{ bos_token }}{{ messages[1].content }}{{ eos_token }}{{ add_generation_prompt }}{{ tools }}"

    assert _render(template) == "<s>Hi</s>TrueNone"


def test_blocks_are_trimmed_and_loops_may_break() -> None:
    template = (
        "{% for m in messages %}\n  {% if m.role == 'user' %}\n{{ m.content }}\n  {% break %}\n  {% endif %}\n"
        "{% endfor %}"
    )

    assert _render(template) == "Hi\n"


def test_json_is_plain() -> None:
    template = (
        "{{ {'b': '<é&>', 'a': [1, none]} | tojson }} {{ {'a': 1} | tojson(indent=2) }} "
        "{{ 'é' | tojson(ensure_ascii=true) }}"
    )

    assert _render(template) == '{"b": "<é&>", "a": [1, null]} {\n  "a": 1\n} "\\u00e9"'


def test_the_date() -> None:
    assert _render("{{ strftime_now('%Y') }}").startswith("20")


def test_thinking_is_defined_only_when_it_is_said() -> None:
    template = "{{ enable_thinking is defined }}{{ enable_thinking }}"

    assert _render(template) == "False"
    assert _render(template, thinking=False) == "TrueFalse"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('Roles must alternate') }}", "Roles must alternate"),
        ("{% if %}", "Expected an expression"),
        ("{{ 'a' + 1 }}", "str"),
        ("{{ nothing.at.all }}", "undefined"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ range(10000000) }}", "too big"),
    ],
)
def test_failing_templates_are_the_requests_failure(template: str, reason: str) -> None:
    with pytest.raises(InvalidRequestError, match=reason):
        _render(template)


def test_without_a_template_contents_are_joined() -> None:
    messages = [Message(role="system", content="Be kind."), Message(role="tool"), Message(role="user", content="Hi")]
    assert without_template(messages) == "Be kind.\n\nHi"


@pytest.mark.parametrize(
    ("thinking", "effort"), [(False, "low"), (True, ""), ("low", "low"), ("high", "high"), ("max", "high")]
)
def test_levels_of_thinking(thinking: bool | str, effort: str) -> None:
    """True is what a model does by itself: for gpt-oss, medium."""
    template = "{{ enable_thinking }} {{ thinking }} {{ reasoning_effort }}"

    assert _render(template, thinking=thinking) == f"{bool(thinking)} {bool(thinking)} {effort}"


def test_tools() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]

    assert _render("{% for tool in tools %}{{ tool | tojson }}{% endfor %}", tools=tools) == (
        '{"type": "function", "function": {"name": "f"}}'
    )


def test_what_single_templates_need() -> None:
    template = (
        "{% set found = [] %}{% for m in messages %}{% set _ = found.append(m.role) %}{% endfor %}"
        "{{ found | map('upper') | tojson }}{% generation %}{{ found[0] }}{% endgeneration %}"
    )

    assert _render(template) == '["SYSTEM", "USER"]system'
