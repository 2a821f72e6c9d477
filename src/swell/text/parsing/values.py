"""JSON values as models write them. Pure.

Whatever JSON allows means what it means there. Beyond that: single quotes, the literals of Python, keys without quotes,
a comma too many, or one too few before a key, comments, brackets that aren't closed before the one around them is, line
breaks in strings, quotes in them after which no string can end, and backslashes that escape nothing, as in Windows'
paths. A value that breaks off, or a word that is no literal, is no value.
"""

import json
import math
import re
from typing import Any, NoReturn

import msgspec

from swell.text.stream import match_end


def parse_value(text: str) -> Any:
    """The value that is written in `text`, perhaps with blank space around it.

    Raises ValueError for text that is none, and for values that JSON can't pass on: halves of surrogate pairs,
    infinite numbers.
    """
    try:
        try:
            value = json.loads(text, strict=False, parse_float=_finite, parse_constant=_refuse)
        except ValueError:
            value = _ValueReader(text).read()
        msgspec.json.encode(value)
    except (RecursionError, OverflowError) as error:
        raise ValueError("too deep or too large for a value") from error
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a value")


_BLANK = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*+)"' r"|'((?:[^'\\]|\\.)*+)'", re.DOTALL)
_ENDED = re.compile(r"""\s*(?:[,:}\]"'/]|\Z)""")
_LOOSE_STRING = re.compile(
    "|".join(rf"{quote}((?:[^{quote}\\]|\\.|{quote}(?!\s*(?:[,:}}\]]|\Z)))*+){quote}" for quote in "\"'"), re.DOTALL
)
"""A string with quotes in it that aren't escaped."""
_WORD = re.compile(r"[\w+.$-]+")
_LITERALS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


class _ValueReader:
    """Reads one value, a bracket at a time."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def read(self) -> Any:
        value = self._value()
        if self._next():
            raise ValueError("more than a value")
        return value

    def _next(self) -> str:
        """The next character that isn't blank; "" at the end."""
        self._position = match_end(_BLANK, self._text, self._position)
        return self._text[self._position : self._position + 1]

    def _take(self, character: str) -> bool:
        """Step over `character` if it is next; whether it was."""
        found = self._next() == character
        self._position += found
        return found

    def _value(self) -> Any:
        if self._take("{"):
            return self._object()
        if self._take("["):
            return self._list()
        if self._next() in ('"', "'"):
            return self._string()
        word = self._word()
        if word in _LITERALS:
            return _LITERALS[word]
        return json.loads(word, parse_float=_finite, parse_constant=_refuse)

    def _object(self) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not self._is_closed("}"):
            is_quoted = self._next() in ('"', "'")
            key = self._string() if is_quoted else self._word()
            if not (key or is_quoted) or not self._take(":"):
                raise ValueError("no key, or one without a value")
            items[key] = self._value()
            if self._next() != '"':  # that of the next key, after a comma too few
                self._separate()
        return items

    def _list(self) -> list[Any]:
        items: list[Any] = []
        while not self._is_closed("]"):
            items.append(self._value())
            self._separate()
        return items

    def _is_closed(self, bracket: str) -> bool:
        """Whether the bracket is closed here, or one around it, which isn't stepped over."""
        return self._take(bracket) or self._next() in ("}", "]")

    def _separate(self) -> None:
        if not self._take(",") and self._next() not in ("}", "]"):
            raise ValueError("no comma between values")

    def _string(self) -> str:
        found = _STRING.match(self._text, self._position)
        if found and not _ENDED.match(self._text, found.end()):
            found = _LOOSE_STRING.match(self._text, self._position)
        if found is None:
            raise ValueError("a string without an end")
        self._position = found.end()
        return _unescaped(found[1] if found[1] is not None else found[2])

    def _word(self) -> str:
        self._next()
        start, self._position = self._position, match_end(_WORD, self._text, self._position)
        return self._text[start : self._position]


_ESCAPE = re.compile(r"""\\(?:["'\\/bfnrt]|u[0-9a-fA-F]{4})|\\""")
_WINDOWS_PATH = re.compile(r"(?:[A-Za-z]:|\\\\[\w.$-]+)\\(?!\\)")


def _unescaped(inside: str) -> str:
    """What a string with `inside` between its quotes says."""
    escapes = {found[0] for found in _ESCAPE.finditer(inside)}
    if "\\" in escapes and _WINDOWS_PATH.match(inside):
        return inside  # then \n and \t in it are no escapes either
    pieces = {escape: _meaning(escape) for escape in escapes}
    return _joined(_ESCAPE.sub(lambda found: pieces[found[0]], inside))


def _meaning(escape: str) -> str:
    if escape in ("\\", "\\'"):
        return escape.removeprefix("\\") or escape
    meaning: str = json.loads(f'"{escape}"')
    return meaning


def _joined(text: str) -> str:
    """`text` with the halves of surrogate pairs, which were escaped one by one, made whole."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
