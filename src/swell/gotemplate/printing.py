"""How Go prints a value by one verb of printf."""

from dataclasses import dataclass, replace
from enum import Enum, auto

from swell.gotemplate.encoding import to_json
from swell.gotemplate.floats import float_text
from swell.gotemplate.quoting import can_backquote, character, quoted, quoted_character
from swell.gotemplate.values import (
    Byte,
    JsonList,
    JsonMap,
    JsonRecord,
    Record,
    TypeNames,
    Value,
    is_nil,
    to_bytes,
    type_name,
)

_BASES = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "x": "0x", "X": "0X"}
_DEFAULT_PRECISION = 6


class PrintStyle(Enum):
    """How %v writes what has parts: plainly, with the names of fields (%+v), or as Go's source (%#v)."""

    PLAIN = auto()
    NAMED = auto()
    SOURCE = auto()


@dataclass(frozen=True)
class Verb:
    """A verb of printf with its flags, width and precision."""

    letter: str = "v"
    flags: str = ""
    width: int | None = None
    precision: int | None = None
    style: PrintStyle = PrintStyle.PLAIN

    @property
    def pads_right(self) -> bool:
        return "-" in self.flags

    @property
    def fills_zeros(self) -> bool:
        """Zeros can only be added to the left."""
        return "0" in self.flags and not self.pads_right

    def pad(self, text: str, *, zeros: bool | None = None) -> str:
        """`text`, filled up to the width."""
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            return text
        if self.pads_right:
            return text + " " * missing
        return ("0" if (self.fills_zeros if zeros is None else zeros) else " ") * missing + text


_PLAIN = Verb()


def plain(value: Value) -> str:
    """`value` as `{{ . }}` writes it."""
    return value if isinstance(value, str) else formatted(value, _PLAIN)


def sprint(values: list[Value]) -> str:
    """All of `values`, with blanks between those of which neither is a string."""
    pieces: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            pieces.append(" ")
        pieces.append(plain(value))
    return "".join(pieces)


def own_text(value: Value) -> str | None:
    """What a value writes that has its own way to; None for others."""
    if isinstance(value, JsonRecord | JsonMap | JsonList):
        return to_json(value)
    return str(value) if isinstance(value, TypeNames) else None


def formatted(value: Value, verb: Verb) -> str:
    """`value` by `verb`; one that doesn't fit its type is written with the value, as Go does."""
    if is_nil(value):
        return verb.pad("<nil>") if verb.letter in ("v", "T") else f"%!{verb.letter}(<nil>)"
    if verb.letter == "T":
        return verb.pad(_cut(type_name(value), verb))
    return _bad(value, verb) if verb.letter == "w" else _inner(value, verb)


def _inner(value: Value, verb: Verb) -> str:
    """`value`, which may be a part of another."""
    if is_nil(value):
        return "interface {}(nil)" if verb.style is PrintStyle.SOURCE else "<nil>"
    if verb.letter in "vsxXq" and verb.style is not PrintStyle.SOURCE and (text := own_text(value)) is not None:
        return _string(text, verb)
    if isinstance(value, bool):
        return verb.pad("true" if value else "false") if verb.letter in "tv" else _bad(value, verb)
    if isinstance(value, int):
        return _integer(value, verb)
    if isinstance(value, float):
        return _float(value, verb)
    if isinstance(value, str):
        return _string(value, verb)
    return _whole(value, verb)


def _bad(value: Value, verb: Verb) -> str:
    return f"%!{verb.letter}({type_name(value)}={_inner(value, replace(verb, letter='v'))})"


def _whole(value: Value, verb: Verb) -> str:
    """A value that has parts."""
    is_source = verb.style is PrintStyle.SOURCE
    separator, name = (", ", type_name(value)) if is_source else (" ", "")
    if isinstance(value, Record):
        names = [f"{key}:" if verb.style is not PrintStyle.PLAIN else "" for key in value.fields]
        items = [key + _inner(item, verb) for key, item in zip(names, value.fields.values(), strict=True)]
        return f"{name}{{{separator.join(items)}}}"
    if isinstance(value, dict):
        items = [f"{_inner(key, verb)}:{_inner(value[key], verb)}" for key in sorted(value)]
        return f"{name}{{{separator.join(items)}}}" if is_source else f"map[{separator.join(items)}]"
    assert isinstance(value, list)
    items = [_inner(item, verb) for item in value]
    return f"{name}{{{separator.join(items)}}}" if is_source else f"[{separator.join(items)}]"


def _string(text: str, verb: Verb) -> str:
    match verb.letter:
        case "v" if verb.style is PrintStyle.SOURCE:
            return verb.pad(quoted(text))
        case "v" | "s":
            return verb.pad(_cut(text, verb))
        case "q":
            text = _cut(text, verb)
            if "#" in verb.flags and can_backquote(text):
                return verb.pad(f"`{text}`")
            return verb.pad(quoted(text, ascii_only="+" in verb.flags))
        case "x" | "X":
            return _hex(text, verb)
    return _bad(text, verb)


def _cut(text: str, verb: Verb) -> str:
    return text if verb.precision is None else text[: verb.precision]


def _hex(text: str, verb: Verb) -> str:
    """The bytes of `text` in hexadecimal digits."""
    data = to_bytes(text)
    data = data if verb.precision is None else data[: verb.precision]
    prefix = f"0{verb.letter}" if "#" in verb.flags and data else ""
    separator = f" {prefix}" if " " in verb.flags else ""
    return verb.pad(prefix + separator.join(format(byte, f"02{verb.letter}") for byte in data))


def _integer(value: int, verb: Verb) -> str:
    match verb.letter:
        case "v" if verb.style is PrintStyle.SOURCE and isinstance(value, Byte):
            return _digits(value, replace(verb, letter="x", flags=verb.flags + "#"))
        case "c":
            return verb.pad(character(value))
        case "q":
            return verb.pad(quoted_character(value, ascii_only="+" in verb.flags))
        case "U":
            shown = f" '{chr(value)}'" if "#" in verb.flags and value >= 0 and character(value).isprintable() else ""
            code = f"U+{value % 2**64:0{max(verb.precision or 0, 4)}X}"
            return verb.pad(code + shown, zeros=False)
    return _digits(value, verb) if verb.letter in _BASES else _bad(value, verb)


def _digits(value: int, verb: Verb) -> str:
    sign = "-" if value < 0 else "+" if "+" in verb.flags else " " if " " in verb.flags else ""
    least = verb.precision or 0
    if verb.precision == 0 and value == 0:
        return verb.pad("", zeros=False)
    if verb.precision is None and verb.fills_zeros and verb.width is not None:
        least = verb.width - len(sign)
    digits = format(abs(value), _BASES[verb.letter]).rjust(least, "0")
    if "#" in verb.flags:
        is_octal = verb.letter in "oO"
        digits = ("0" if is_octal and digits[0] != "0" else _PREFIXES.get(verb.letter, "")) + digits
    if verb.letter == "O":
        digits = f"0o{digits}"
    return verb.pad(sign + digits, zeros=False)


def _float(value: float, verb: Verb) -> str:
    letter = {"v": "g", "F": "f"}.get(verb.letter, verb.letter)
    if letter not in "beEfgGxX":
        return _bad(value, verb)
    precision = verb.precision
    if precision is None and letter in "eEf":
        precision = _DEFAULT_PRECISION
    text = float_text(value, letter, precision)
    if "#" in verb.flags and letter != "b":
        text = _with_point(text, letter, precision)
    sign, number = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    sign = sign or ("+" if "+" in verb.flags else " " if " " in verb.flags else "")
    if verb.fills_zeros and verb.width is not None:
        return sign + number.rjust(verb.width - len(sign), "0")
    return verb.pad(sign + number)


def _with_point(text: str, letter: str, precision: int | None) -> str:
    """`text` with a point, and with the zeros at its end that %g leaves out otherwise."""
    start = next((index for index, one in enumerate(text) if one in ("pP" if letter in "xX" else "eE")), len(text))
    number, exponent = text[:start], text[start:]
    count = len(number.lstrip("+-").replace(".", "").lstrip("0")) or 1  # Go counts the x of a hexadecimal number
    wanted = _DEFAULT_PRECISION if precision is None else precision
    number = number if "." in number else f"{number}."
    return number + "0" * (max(wanted - count, 0) if letter in "gGx" else 0) + exponent
