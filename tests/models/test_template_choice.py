"""Which template is used of a model that has two."""

import pytest

from swell.models.manifest import Manifest
from swell.models.template_choice import Templates, choose
from swell.store.config import ModelConfig
from swell.template_preference import TemplatePreference
from swell.text.chat_template import TemplateLanguage

PLAIN_GO = "{{ .System }}{{ .Prompt }}!"
TOOLS_GO = "{{ .Tools }}{{ range .Messages }}{{ .Content }}{{ end }}"
CALLS_GO = '{{ .Tools }}{{ range .Messages }}{{ if eq .Role "tool" }}{{ .Content }}{{ end }}{{ .ToolCalls }}{{ end }}'
THINKS_GO = "{{ range .Messages }}{{ if .Thinking }}<think>{{ .Thinking }}</think>{{ end }}{{ .Content }}{{ end }}"
GAP_GO = "{{ .Prompt }}{{ .Suffix }}"
ALL_GO = f"{CALLS_GO}{THINKS_GO}"
BARE_GO = "{{ .Prompt }}"
BROKEN_GO = "{{ if }}"

PLAIN_JINJA = "{{ messages }}"
TOOLS_JINJA = "{{ messages }}{{ tools }}<tool_call>"
CALLS_JINJA = "{{ tools }}{% if m.role == 'tool' %}{{ m.tool_calls }}<tool_call>{% endif %}"
THINKS_JINJA = "{{ messages }}<think></think>"
ALL_JINJA = f"{CALLS_JINJA}<think></think>"

GO, JINJA = TemplateLanguage.GO, TemplateLanguage.JINJA


@pytest.mark.parametrize(
    ("go", "jinja", "language"),
    [
        ("", None, JINJA),
        ("", PLAIN_JINJA, JINJA),
        (PLAIN_GO, None, GO),
        (BROKEN_GO, None, GO),  # so that its error is told
        (BROKEN_GO, PLAIN_JINJA, JINJA),
        (BARE_GO, None, GO),
        (BARE_GO, PLAIN_JINJA, JINJA),
        (" {{- .Prompt -}}\n", PLAIN_JINJA, JINJA),
        (PLAIN_GO, PLAIN_JINJA, GO),
        (PLAIN_GO, TOOLS_JINJA, JINJA),
        (TOOLS_GO, PLAIN_JINJA, GO),
        (TOOLS_GO, TOOLS_JINJA, GO),
        (TOOLS_GO, CALLS_JINJA, JINJA),
        (CALLS_GO, TOOLS_JINJA, GO),
        (CALLS_GO, CALLS_JINJA, GO),
        (TOOLS_GO, THINKS_JINJA, GO),
        (THINKS_GO, THINKS_JINJA, GO),
        (THINKS_GO, CALLS_JINJA, GO),
        (CALLS_GO, ALL_JINJA, JINJA),
        (CALLS_GO, f"{TOOLS_JINJA}<think></think>", GO),
        (TOOLS_GO, f"{TOOLS_JINJA}<think></think>", JINJA),
        (ALL_GO, ALL_JINJA, GO),
        (GAP_GO, PLAIN_JINJA, GO),
        (GAP_GO, ALL_JINJA, JINJA),
    ],
)
def test_by_itself_what_can_do_more_is_used(go: str, jinja: str | None, language: TemplateLanguage) -> None:
    templates = Templates(go=go, jinja=jinja, jinja_with_tools=jinja)
    assert choose(templates, TemplatePreference.AUTO) is language


def test_the_template_for_tools_counts_for_tools() -> None:
    templates = Templates(go=TOOLS_GO, jinja=PLAIN_JINJA, jinja_with_tools=CALLS_JINJA)
    assert choose(templates, TemplatePreference.AUTO) is JINJA


@pytest.mark.parametrize(("preference", "language"), [(TemplatePreference.GO, GO), (TemplatePreference.JINJA, JINJA)])
@pytest.mark.parametrize(("go", "jinja"), [(PLAIN_GO, ALL_JINJA), (ALL_GO, PLAIN_JINJA), (BARE_GO, PLAIN_JINJA)])
def test_a_preference_decides(go: str, jinja: str, preference: TemplatePreference, language: TemplateLanguage) -> None:
    assert choose(Templates(go=go, jinja=jinja, jinja_with_tools=jinja), preference) is language
    assert choose(Templates(go=go, jinja=None, jinja_with_tools=None), preference) is GO
    assert choose(Templates(go="", jinja=jinja, jinja_with_tools=jinja), preference) is JINJA


@pytest.mark.parametrize("config", [ModelConfig(renderer="qwen3"), ModelConfig(parser="qwen3")])
@pytest.mark.parametrize("preference", TemplatePreference)
def test_where_ollama_has_a_renderer_of_its_own_jinja_is_used(
    config: ModelConfig, preference: TemplatePreference
) -> None:
    manifest = Manifest(template=ALL_GO, chat_template=PLAIN_JINJA, tools_template=PLAIN_JINJA, config=config)
    found = manifest.prompt_template()
    assert found is not None
    assert (found.language, found.text) == (JINJA, PLAIN_JINJA)
    without = Manifest(template=ALL_GO, config=config).prompt_template(with_tools=True)
    assert without is not None
    assert (without.language, without.text) == (GO, ALL_GO)


def test_without_a_template_there_is_none() -> None:
    assert Manifest().prompt_template() is None
