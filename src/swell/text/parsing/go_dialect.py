"""How a model writes thoughts and calls, as its template in Go's language shows it.

Known marks are looked for first, as in Jinja. What a template writes around `.Thinking` and `.ToolCalls` says the rest.
"""

import dataclasses
import re
from collections.abc import Iterator
from functools import lru_cache, partial

from swell.errors import InvalidTemplateError
from swell.gotemplate.inspection import bodies_of, field_names, names_used, operands_of, pipelines_of
from swell.gotemplate.nodes import ActionNode, Body, GoTemplate, IfNode, Node, Pipeline, RangeNode, TextNode
from swell.gotemplate.parser import parse
from swell.text.parsing.dialect import Dialect, Framed, Harmony, dialect_of
from swell.text.parsing.formats import BARE, ToolFormat, marked_formats
from swell.text.parsing.generic import NamedCall
from swell.text.parsing.thinking import ThinkingTags, thinking_tags

_CLOSING = re.compile(r"[\s}\]]*(<[^<>\s]+>)")
"""A tag right after a call."""


@lru_cache(maxsize=64)
def go_dialect_of(text: str) -> Dialect:
    """The dialect of a model with this template; one that can't be read shows nothing."""
    try:
        template = parse(text)
    except InvalidTemplateError:
        return Dialect()
    known = dialect_of(text)
    formats = _formats(template, text) if "Tools" in names_used(template) else ()
    if isinstance(known, Harmony):
        return known
    if isinstance(known, Framed):
        return dataclasses.replace(known, formats=formats)
    return Dialect(_thinking_tags(template, text), formats)


def _thinking_tags(template: GoTemplate, text: str) -> ThinkingTags | None:
    """The known tags in the text, or else what stands around the thoughts of earlier messages."""
    known, found = thinking_tags(text), next(_around_thoughts(template.body, in_messages=False), None)
    if found is None or (known is not None and known.opening in found.opening and known.closing in found.closing):
        return known
    return found


def _around_thoughts(body: Body, *, in_messages: bool) -> Iterator[ThinkingTags]:
    """The first and the last text of each body in which a range over the messages writes their thoughts."""
    for node in body:
        if in_messages and isinstance(node, ActionNode) and _reads(node, "Thinking"):
            first, last = body[0], body[-1]
            if isinstance(first, TextNode) and isinstance(last, TextNode) and first.text.strip() and last.text.strip():
                yield ThinkingTags(first.text.strip(), last.text.strip())
        inside = _reads(node, "Messages") if isinstance(node, RangeNode) else in_messages
        for inner in bodies_of(node):
            yield from _around_thoughts(inner, in_messages=inside)


def _formats(template: GoTemplate, text: str) -> tuple[ToolFormat, ...]:
    """The known formats whose marks stand in the text, or else calls after what comes before those of earlier messages.

    Where that is nothing, or only brackets, calls are JSON without a mark.
    """
    if known := marked_formats(text):
        return known
    calls = next(_bodies_of_calls(template.body), ())
    texts = [one for one in _texts(calls) if one.strip()]
    tag = texts[0].replace("\r\n", "\n").partition("{")[0].strip() if texts and _begins_with_text(calls) else ""
    if tag in ("", "["):
        return (BARE,)
    closing = _CLOSING.match(texts[-1])
    closings = (closing[1],) if closing and len(texts) > 1 else ()
    return (ToolFormat((tag,), tag, partial(NamedCall, tag), (tag, *closings), closings),)


def _bodies_of_calls(body: Body) -> Iterator[Body]:
    """The bodies of `{{ if .ToolCalls }}`."""
    for node in body:
        if isinstance(node, IfNode) and _reads(node, "ToolCalls"):
            yield next(one.body for one in node.branches if _names(one.condition, "ToolCalls"))
        for inner in bodies_of(node):
            yield from _bodies_of_calls(inner)


def _begins_with_text(body: Body) -> bool:
    """Whether a text comes before anything that is written in the place of something."""
    for node in body:
        if isinstance(node, TextNode) and node.text.strip():
            return True
        if not isinstance(node, TextNode):
            inner = bodies_of(node)
            return bool(inner) and _begins_with_text(inner[0])
    return False


def _texts(body: Body) -> Iterator[str]:
    for node in body:
        if isinstance(node, TextNode):
            yield node.text
        for inner in bodies_of(node):
            yield from _texts(inner)


def _reads(node: Node, name: str) -> bool:
    return any(_names(pipeline, name) for pipeline in pipelines_of(node))


def _names(pipeline: Pipeline, name: str) -> bool:
    return any(name in field_names(operand) for operand in operands_of(pipeline))
