"""Which template a model uses that has one in Go's language, from its Modelfile, and one in Jinja, from its header."""

import re
from dataclasses import dataclass
from functools import lru_cache

from swell.errors import InvalidTemplateError
from swell.gotemplate.inspection import names_used, strings_used
from swell.gotemplate.nodes import GoTemplate
from swell.gotemplate.parser import parse
from swell.template_preference import TemplatePreference
from swell.text.chat_template import ChatTemplate, TemplateLanguage

_PROMPT_ALONE = re.compile(r"\s*{{-?\s*\.Prompt\s*-?}}\s*")
"""What stands where there is no template, or where Ollama has one of its own."""
_RESULTS = re.compile(r"""["']tool["']|tool_response""")
"""What a template in Jinja says of results of tools."""


@dataclass(frozen=True, kw_only=True)
class Templates:
    """What there is: one in Go's language, "" for none, and those of the header, the latter for requests with tools."""

    go: str
    jinja: str | None
    jinja_with_tools: str | None


@lru_cache(maxsize=64)
def choose(templates: Templates, preference: TemplatePreference) -> TemplateLanguage:
    """The language of the one to use.

    By itself the one in Go's language counts, unless that in Jinja can do more and doesn't lose the way of a call and
    its result, or can do the same and is the only one with all of that way.
    """
    if not templates.go or (templates.jinja and preference is TemplatePreference.JINJA):
        return TemplateLanguage.JINJA
    if not templates.jinja or preference is TemplatePreference.GO:
        return TemplateLanguage.GO
    try:
        read = parse(templates.go)
    except InvalidTemplateError:
        return TemplateLanguage.JINJA
    return TemplateLanguage.JINJA if _is_outvoted(templates, read) else TemplateLanguage.GO


def _is_outvoted(templates: Templates, read: GoTemplate) -> bool:
    if _PROMPT_ALONE.fullmatch(templates.go):
        return True
    go, jinja = _abilities(ChatTemplate(TemplateLanguage.GO, templates.go)), _jinja_abilities(templates)
    go_takes_results, jinja_takes_results = _takes_results(read), _jinja_takes_results(templates)
    if len(jinja) > len(go):
        return jinja_takes_results or not go_takes_results
    return jinja == go and "tools" in go and jinja_takes_results and not go_takes_results


def _jinja_abilities(templates: Templates) -> set[str]:
    plain, with_tools = (
        _abilities(ChatTemplate(TemplateLanguage.JINJA, text or ""))
        for text in (templates.jinja, templates.jinja_with_tools)
    )
    return (plain - {"tools"}) | (with_tools & {"tools"})


def _jinja_takes_results(templates: Templates) -> bool:
    text = templates.jinja_with_tools or ""
    return "tools" in text and "tool_calls" in text and _RESULTS.search(text) is not None


def _abilities(template: ChatTemplate) -> set[str]:
    dialect = template.dialect
    has = {"tools": dialect.calls_tools, "thinking": dialect.thinks, "insert": template.fills_gaps}
    return {ability for ability, is_there in has.items() if is_there}


def _takes_results(template: GoTemplate) -> bool:
    """Whether a template writes tools, calls and their results."""
    names = names_used(template)
    return {"Tools", "ToolCalls"} <= names and ("tool" in strings_used(template) or "ToolName" in names)
