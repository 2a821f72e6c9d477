"""The arguments of a call as models write them behind its bracket: `KEY:VALUE` or `KEY=VALUE`. Pure.

Strings stand in quotes or between marks. They may hold the quotes that they stand in; a quote or mark may be missing,
and so may the last brackets. Such text is read only where it has a single meaning.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from swell.text.parsing.coercion import coerced, declared
from swell.text.parsing.values import parse_value
from swell.text.stream import match_end


@dataclass(frozen=True)
class Style:
    """How a family of models writes arguments: what ends them, and which marks a string may stand between."""

    bracket: str
    marks: tuple[str, ...] = ()

    @cached_property
    def after(self) -> re.Pattern[str]:
        """What stands after a value."""
        return re.compile(rf"\s*(?:[,{re.escape(self._brackets)}]|\Z)")

    @cached_property
    def marked(self) -> re.Pattern[str]:
        """A string between marks."""
        return re.compile(rf"(?P<mark>{self._mark})(?P<text>.*?)(?P=mark)", re.DOTALL)

    @cached_property
    def unopened(self) -> re.Pattern[str]:
        """A string of which the first mark is missing."""
        return re.compile(rf"(?P<text>(?:(?!{self._mark})[^{{}}\[\],])*+)(?:{self._mark})(?={self.after.pattern})")

    @cached_property
    def quoted(self) -> re.Pattern[str]:
        """A string in quotes. A quote of the same kind ends it only if what follows may stand after a value."""
        inside = (
            rf"{quotes}(?:[^{quotes[0]}\\]|\\.|{quotes[0]}(?!{quotes[1:]}{self.after.pattern}))*+{quotes}(?={self.after.pattern})"
            for quotes in ('"""', "'''", '"', "'", "`")
        )
        return re.compile("|".join(inside), re.DOTALL)

    @cached_property
    def bare(self) -> re.Pattern[str]:
        """A value without quotes and marks."""
        return re.compile(rf"(?:(?!{self._mark})[^,{{\[{re.escape(self._brackets)}])++")

    @cached_property
    def key(self) -> re.Pattern[str]:
        """The name of an argument, with what separates it from its value."""
        return re.compile(
            rf"\s*(?:(?P<mark>{self._mark})(.*?)(?P=mark)|\"([^\"]*)\"|'([^']*)'|([\w.$@-]+))\s*[:=]\s*", re.DOTALL
        )

    @property
    def _mark(self) -> str:
        return "|".join(map(re.escape, self.marks)) or "(?!)"

    @property
    def _brackets(self) -> str:
        return "".join({*"}]", self.bracket})


_BLANK = re.compile(r"\s*")
_NEXT_KEY = re.compile(r",\s*([\w.$@-]+)\s*[:=]\s*")
_PLAIN = re.compile(r"[^{}\[\]]+")
_EXPRESSION = re.compile(r"[()+*%=<>]")
_CLOSING = {"{": "}", "[": "]", "(": ")"}


class _Item(NamedTuple):
    """A value, and its text if it is neither a list nor an object."""

    value: Any
    text: str | None


class ArgumentsReader:
    """Reads the arguments of a tool with `schema`, which begin at `position` of `text`, after their opening bracket.

    `outer` are the closing brackets of what stands around the call.
    """

    def __init__(
        self, text: str, position: int, style: Style, schema: Mapping[str, Any], outer: Sequence[str] = ()
    ) -> None:
        self._text = text
        self._style = style
        self._schema = schema
        self._declared = declared(schema)
        self._outer = len(outer)
        self._open = list(outer)
        """The closing brackets of what is open, the innermost last."""
        self._unclosed: set[str] = set()
        """Quotes of which no closing one was found, so that they aren't searched for again."""
        self.position = position
        """Up to where the text is read."""
        self.has_bare_strings = False
        """Whether there was a string without quotes and marks. Brackets too many after it may belong to it."""
        self.lacks_ends = False
        """Whether a bracket, a quote or a mark is missing."""

    def read(self) -> dict[str, Any]:
        """Raises ValueError for what can't be read, and for what JSON can't pass on."""
        self._open.append(self._style.bracket)
        items = self._items()
        texts = {name: item.text for name, item in items.items() if item.text is not None and name in self._declared}
        arguments = {name: item.value for name, item in items.items()} | coerced(texts, self._schema)
        msgspec.json.encode(arguments)
        return arguments

    def following(self) -> str:
        """The next character that isn't blank; "" at the end."""
        self.position = match_end(_BLANK, self._text, self.position)
        return self._text[self.position : self.position + 1]

    def _items(self) -> dict[str, _Item]:
        """The items up to where the innermost bracket is closed. In parentheses, the first names may be left out."""
        items: dict[str, _Item] = {}
        names = [*self._declared] if self._open[-1] == ")" else []
        while not self._is_closed():
            if key := self._style.key.match(self._text, self.position):
                self.position = key.end()
                name, names = next(one for one in key.group(2, 3, 4, 5) if one is not None), []
                if name in items:
                    raise ValueError("a key twice")
                items[name] = self._item(name)
            elif names:
                items[names.pop(0)] = self._item("")
            else:
                raise ValueError("no key")
            self._separate()
        return items

    def _values(self) -> list[Any]:
        values = []
        while not self._is_closed():
            values.append(self._item("").value)
            self._separate()
        return values

    def _is_closed(self) -> bool:
        """Whether the innermost bracket is closed here, or the text ends, or a bracket around it is closed."""
        following = self.following()
        if following and following not in self._open:
            return False
        if following == self._open.pop():
            self.position += 1
        else:
            self.lacks_ends = True
        return True

    def _separate(self) -> None:
        following = self.following()
        if following and following != "," and following not in self._open:
            raise ValueError("no comma between values")
        self.position += following == ","

    def _item(self, name: str) -> _Item:
        following = self.following()
        if closing := _CLOSING.get(following):
            if following == "(" and self._style.bracket != ")":
                raise ValueError("no value")
            self.position += 1
            self._open.append(closing)
            if following == "{":
                return _Item({key: item.value for key, item in self._items().items()}, None)
            return _Item(self._values(), None)
        if self._text.startswith(self._style.marks, self.position):
            text = self._marked()
        elif (quoted := self._quoted(following)) is not None:
            text = quoted
        elif unopened := self._style.unopened.match(self._text, self.position):
            self.position = unopened.end()
            self.lacks_ends = True
            text = unopened["text"]
            if text[:1] in ('"', "'") and text[:1] == text[1:][-1:]:  # in quotes, with a mark behind them
                text = text[1:-1]
        else:
            return self._bare(name)
        return _Item(text, text)

    def _quoted(self, quote: str) -> str | None:
        if quote not in ('"', "'", "`") or quote in self._unclosed:
            return None
        if (found := self._style.quoted.match(self._text, self.position)) is None:
            self._unclosed.add(quote)
            return None
        self.position = found.end()
        width = 3 if found[0].startswith(quote * 3) and found[0].endswith(quote * 3) and len(found[0]) >= 6 else 1
        inside = found[0][width:-width]
        if quote == "`":
            return inside
        escaped = re.sub(rf"(\\.)|{quote}", lambda one: one[1] or f"\\{quote}", inside, flags=re.DOTALL)
        value = parse_value(f"{quote}{escaped}{quote}")
        return value if isinstance(value, str) else inside

    def _marked(self) -> str:
        """A string between marks. If the second one is missing, it ends before the next key or the last brackets."""
        found = self._style.marked.match(self._text, self.position)
        if found and self._style.after.match(self._text, found.end()):
            self.position = found.end()
            return found["text"]
        self.lacks_ends = True
        start = next(
            self.position + len(mark) for mark in self._style.marks if self._text.startswith(mark, self.position)
        )
        key = self._next_key(start)
        if found and (key is None or key.end() != found.end() - len(found["mark"])):
            raise ValueError("text after a string")
        self.position = self._last(start) if key is None else key.start()
        text = self._text[start : self.position]
        if key and not _PLAIN.fullmatch(text):
            raise ValueError("the end of what may be another object")
        return text

    def _next_key(self, start: int) -> re.Match[str] | None:
        """The next key of what is read, with the comma before it."""
        keys: Collection[str] = self._declared if self._is_outermost else ()
        found = (key for key in _NEXT_KEY.finditer(self._text, start) if not keys or key[1] in keys)
        return next(found, None) if self._open[-1] != "]" else None

    @property
    def _is_outermost(self) -> bool:
        return len(self._open) == self._outer + 1

    def _last(self, start: int) -> int:
        """Where the last value ends: before the brackets that close all that is open. Else raises ValueError."""
        end = len(self._text)
        for bracket in self._open:
            if not self._text.endswith(bracket, start, end):
                raise ValueError("a string without an end")
            end = start + len(self._text[start : end - 1].rstrip())
        return end

    def _bare(self, name: str) -> _Item:
        """A word or number; or a string without its marks or quotes, up to the next key or the last brackets."""
        start = self.position
        bare = self._style.bare.match(self._text, start)
        end = start if bare is None else bare.end()
        word = self._text[start:end].strip()
        try:
            value = parse_value(word)
        except ValueError:
            if self._open[-1] != "]":  # in a list it ends with the item
                key = self._next_key(start)
                end = self._last(start) if key is None else key.start()
            value = word = self._bare_string(name, self._text[start:end].strip())
        self.position = end
        return _Item(value, word)

    def _bare_string(self, name: str, text: str) -> str:
        """`text` if it can be nothing but a string, else raises ValueError.

        In a style without marks it could be a variable, so the tool must want a string here.
        """
        is_quoted_once = text[:1] in ('"', "'") or text[-1:] in ('"', "'")
        self.has_bare_strings = True
        self.lacks_ends |= is_quoted_once
        text = text.strip("\"'") if is_quoted_once else text
        is_wanted = self._is_outermost and name in self._declared and coerced({name: "0"}, self._schema)[name] == "0"
        is_string = bool(self._style.marks) or (is_wanted and not _EXPRESSION.search(text))
        if not is_string or not _PLAIN.fullmatch(text) or any(mark in text for mark in self._style.marks):
            raise ValueError("no value")
        return text
