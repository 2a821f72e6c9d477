"""Strings and characters as Go writes them in its source."""

from swell.gotemplate.values import to_bytes

_SHORT = {7: "\\a", 8: "\\b", 12: "\\f", 10: "\\n", 13: "\\r", 9: "\\t", 11: "\\v", 92: "\\\\"}
_REPLACEMENT = 0xFFFD


def quoted(text: str, *, ascii_only: bool = False) -> str:
    """`text` in double quotes."""
    return f'"{"".join(_escaped(letter, chr(34), ascii_only) for letter in text)}"'


def quoted_character(code: int, *, ascii_only: bool = False) -> str:
    """The character of that number in single quotes."""
    return f"'{_escaped(character(code), chr(39), ascii_only)}'"


def character(code: int) -> str:
    """The character of that number; U+FFFD if there is none."""
    return chr(code if 0 <= code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else _REPLACEMENT)


def can_backquote(text: str) -> bool:
    """Whether `text` can stand between backquotes: it has none, no control characters but tabs, and is UTF-8."""
    return all(
        letter == "\t" or (letter not in "`\x7f\ufeff" and letter >= " " and not "\ud800" <= letter <= "\udfff")
        for letter in text
    )


def _escaped(letter: str, quote: str, ascii_only: bool) -> str:
    code = ord(letter)
    if letter == quote:
        return f"\\{quote}"
    if code in _SHORT:
        return _SHORT[code]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{to_bytes(letter)[0]:02x}"
    if letter.isprintable() and (code < 0x80 or not ascii_only):
        return letter
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
