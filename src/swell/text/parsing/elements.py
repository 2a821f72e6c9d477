"""Calls whose arguments are elements of their own, between tags that name them. Pure.

A value may hold the tags that it stands between, so a tag counts only right beside another one. A call or argument that
isn't closed can't be read, since the tags after it may be part of a value; only before an argument that the tool must
have, the closing tag of the one before may be missing.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from swell.text.parsing.calls import Tools, call, parse_json
from swell.text.parsing.coercion import coerced, declared
from swell.text.parsing.names import tool_name
from swell.text.parsing.parts import ToolCall
from swell.text.parsing.values import parse_value


class _Section(NamedTuple):
    """The text between two tags, and the opening one of them."""

    opening: re.Match[str]
    inside: str


@dataclass(frozen=True)
class Elements:
    """The tags of a family of models: opening ones as patterns, closing ones as texts.

    `call` has a group `name`. `argument` has groups `key` and `kind`; the latter is the type of the value, where the
    tag says it. `call_begin` is how the opening tag of a call begins, and `value_begin` how the last tag before a value
    does.
    """

    call_begin: str
    call: re.Pattern[str]
    call_end: str
    value_begin: str
    argument: re.Pattern[str]
    argument_end: str

    def read(self, body: str, tools: Tools) -> list[ToolCall]:
        """The calls in `body`; none if it holds anything else, or if one of them can't be read."""
        sections = _sections(body, self.call, self.call_end, ())
        calls = [self._call(section, tools) for section in sections or ()]
        return [] if None in calls else [one for one in calls if one is not None]

    def _call(self, section: _Section, tools: Tools) -> ToolCall | None:
        name = tool_name(section.opening["name"].strip(), tools)
        if section.inside.lstrip().startswith("{"):
            return call(name, parse_json(section.inside))
        schema = tools.get(name, {})
        found = self._arguments(section.inside, schema)
        if found is None:
            return None
        texts = {one.opening["key"]: _text(one.inside) for one in found}
        if len(texts) < len(found):  # a key twice: one of the tags was part of a value
            return None
        keys = declared(schema)
        known = coerced({key: text for key, text in texts.items() if key in keys}, schema)
        kinds = {one.opening["key"]: one.opening["kind"] for one in found}
        return call(
            name, {key: known[key] if key in known else _value(text, kinds[key]) for key, text in texts.items()}
        )

    def _arguments(self, inside: str, schema: Mapping[str, Any]) -> list[_Section] | None:
        """The arguments; None if they can't be read.

        A tag amid a value is part of it, unless it begins an argument that the tool must have and would lack otherwise.
        If it begins one that the tool only may have, there is no telling, and nothing is read.
        """
        given = {one.opening["key"] for one in _sections(inside, self.argument, self.argument_end, ()) or ()}
        lacking = [key for key in declared(schema) if key not in given]
        required = schema.get("required")
        needed = [key for key in required if key in lacking] if isinstance(required, list) else []
        found = _sections(inside, self.argument, self.argument_end, needed)
        within = {tag["key"] for one in found or () for tag in self.argument.finditer(one.inside)}
        return None if within.intersection(lacking) else found


def _sections(text: str, opening: re.Pattern[str], closing: str, needed: Collection[str]) -> list[_Section] | None:
    """The sections of `text`. An opening tag begins one if it stands first, after a closing tag, or has a `needed` key.

    None if there is text outside of the sections, or if one of them has no certain end.
    """
    sections: list[_Section] = []
    last: re.Match[str] | None = None
    for found in [*opening.finditer(text), None]:
        end = _end(text, last.end() if last else 0, found.start() if found else len(text))
        if last is not None:
            is_closed = text.endswith(closing, last.end(), end)
            if not is_closed and found and not (needed and found["key"] in needed):
                continue
            inside = text[last.end() : end - len(closing) if is_closed else end]
            if not is_closed and (found is None or closing in inside):
                return None
            sections.append(_Section(last, inside))
        elif end > 0:
            return None
        last = found
    return sections


def _end(text: str, start: int, end: int) -> int:
    """Where `text[start:end]` ends without the blank space at its end."""
    while end > start and text[end - 1].isspace():
        end -= 1
    return end


def _text(inside: str) -> str:
    """What a value says, which may stand in a CDATA section."""
    stripped = inside.strip()
    if stripped.startswith("<![CDATA[") and stripped.endswith("]]>"):
        return stripped[9:-3]
    return inside


def _value(text: str, kind: str | None) -> Any:
    """The value of an argument that the tool doesn't declare."""
    if kind in (None, "true", "string"):
        return text
    try:
        return parse_value(text)
    except ValueError:
        return text


def _xml(prefix: str, call: str, argument: str) -> Elements:
    """`<CALL name="NAME">`, in it `<ARGUMENT name="KEY">VALUE</ARGUMENT>`."""
    name = r"\s*name\s*=\s*[\"']?(?P<{}>[^\"'<>]{{1,200}})[\"']?"
    kind = r"(?:\s+string\s*=\s*[\"']?(?P<kind>true|false)[\"']?)?\s*>"
    return Elements(
        f'<{prefix}{call} name="',
        re.compile(rf"<{prefix}{call}{name.format('name')}\s*>"),
        f"</{prefix}{call}>",
        f"<{prefix}{argument}",
        re.compile(rf"<{prefix}{argument}{name.format('key')}{kind}"),
        f"</{prefix}{argument}>",
    )


def _suffixed(suffix: str) -> Elements:
    """`<tool_call>NAME<tool_sep>`, in it `<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>`, each with a suffix."""
    return Elements(
        f"<tool_call{suffix}>",
        re.compile(rf"<tool_call{suffix}>\s*(?P<name>[^\s<]{{1,200}})\s*(?:<tool_sep{suffix}>)?"),
        f"</tool_call{suffix}>",
        f"<arg_value{suffix}>",
        re.compile(rf"<arg_key{suffix}>(?P<key>[^<]{{1,200}})</arg_key{suffix}>\s*<arg_value{suffix}>(?P<kind>(?!))?"),
        f"</arg_value{suffix}>",
    )


MINIMAX = _xml("", "invoke", "parameter")
DSML = _xml("｜DSML｜", "invoke", "parameter")
DSML_SPACED = _xml("｜DSML｜ ", "invoke", "parameter")
GCML = _xml("｜GCML｜", "invoke", "parameter")
MINICPM = _xml("", "function", "param")
HUNYUAN = _suffixed(":opensource")
SOLAR = Elements(
    "<|tool_call:start|>",
    re.compile(r"<\|tool_call:start\|>(?P<name>[^\n<]{1,200})"),
    "<|tool_call:end|>",
    "<|tool_arg:value|>",
    re.compile(r"<\|tool_arg:start\|>(?P<key>[^<]{1,200})<\|tool_arg:value\|>(?P<kind>(?!))?"),
    "<|tool_arg:end|>",
)
KIMI = Elements(
    "<|open|>call",
    re.compile(r"<\|open\|>call\s+tool=\"(?P<name>[^\"]{1,200})\"[^<]{0,200}<\|sep\|>"),
    "<|close|>call<|sep|>",
    "<|open|>argument",
    re.compile(r"<\|open\|>argument\s+key=\"(?P<key>[^\"]{1,200})\"(?:\s+type=\"(?P<kind>\w+)\")?\s*<\|sep\|>"),
    "<|close|>argument<|sep|>",
)
