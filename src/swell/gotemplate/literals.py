"""Constants as Go writes them. All functions raise ValueError for what is none."""

import math
import re

from swell.gotemplate.values import from_bytes

_ESCAPES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_ESCAPE = re.compile(
    r"""\\(?:x(?P<x>[0-9a-fA-F]{2})|(?P<o>[0-7]{3})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<c>["'abfnrtv\\]))"""
)
_INTEGER = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<decimal>0|[1-9](?:_?[0-9])*)|0[oO]?(?P<octal>(?:_?[0-7])+)"
    r"|0[xX](?P<hex>(?:_?[0-9a-fA-F])+)|0[bB](?P<binary>(?:_?[01])+))"
)
_BASES = {"decimal": 10, "octal": 8, "hex": 16, "binary": 2}
_DIGITS = r"[0-9](?:_?[0-9])*"
_FLOAT = re.compile(rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?[0-9](?:_?[0-9])*)?")
_HEX = r"_?[0-9a-fA-F](?:_?[0-9a-fA-F])*"
_HEX_FLOAT = re.compile(rf"[+-]?0[xX](?:{_HEX}\.?(?:{_HEX})?|\.{_HEX})[pP][+-]?{_DIGITS}")
_INT64_MAX = 2**63 - 1


def read_string(literal: str) -> str:
    """The text of a string in double quotes or backquotes."""
    if literal.startswith("`"):
        return literal[1:-1].replace("\r", "")
    return from_bytes(_unescaped(literal[1:-1], quote='"'))


def read_character(literal: str) -> int:
    """The number of the character in single quotes."""
    body = literal[1:-1]
    escape = _ESCAPE.fullmatch(body)
    if escape is not None and (escape["x"] or escape["o"]):
        return bytes((_byte(escape),))[0]
    text = from_bytes(_unescaped(body, quote="'"))
    if len(text) != 1:
        raise ValueError(literal)
    return ord(text)


def read_number(literal: str) -> int | float:
    """An integer in any base, or a float. One with a point or an exponent is a float, whatever its value."""
    if found := _INTEGER.fullmatch(literal):
        base = found.lastgroup or ""
        number = int(found["sign"] + found[base].replace("_", ""), _BASES[base])
        if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
            raise ValueError(literal)
        return number
    plain = literal.replace("_", "")
    if _HEX_FLOAT.fullmatch(literal):
        value = float.fromhex(plain)
    elif _FLOAT.fullmatch(literal) and not plain.lstrip("+-").isdigit():
        value = float(plain)
    else:
        raise ValueError(literal)
    if math.isinf(value):
        raise ValueError(literal)
    return value


def _unescaped(body: str, *, quote: str) -> bytes:
    data, position = bytearray(), 0
    while position < len(body):
        if body[position] != "\\":
            end = body.find("\\", position)
            end = len(body) if end < 0 else end
            data += body[position:end].encode("utf-8", "surrogateescape")
            position = end
            continue
        found = _ESCAPE.match(body, position)
        if found is None:
            raise ValueError(body)
        data += _escaped(found, quote)
        position = found.end()
    return bytes(data)


def _escaped(found: re.Match[str], quote: str) -> bytes:
    if (character := found["c"]) is not None:
        if character in "\"'" and character != quote:
            raise ValueError(character)
        return bytes((_ESCAPES.get(character, ord(character)),))
    if found["x"] or found["o"]:
        return bytes((_byte(found),))
    number = int(found["u"] or found["U"], 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise ValueError(number)
    return chr(number).encode()


def _byte(found: re.Match[str]) -> int:
    """The byte that an escape names, which `bytes` refuses if it is too large."""
    return int(found["x"], 16) if found["x"] else int(found["o"], 8)
