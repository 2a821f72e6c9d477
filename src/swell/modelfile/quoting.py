"""How a text stands in a Modelfile: bare, in quotes, or in three quotes.

A text in quotes ends where a line ends with them; there are no escapes. So quotes may stand anywhere else in it, and a
text with a line that ends with three of them can't be written.
"""

import re
from collections.abc import Iterable

BLANKS = " \t"
QUOTE, QUOTES = '"', '"""'

_LINE_END = re.compile(r"\r\n|\r|\n")


def printable(text: str) -> str:
    """`text` as it counts outside quotes: without characters that nobody sees."""
    return "".join(character for character in text if character == "\t" or character.isprintable())


def unquoted(lines: Iterable[str]) -> str | None:
    """The text in quotes with which the first of `lines` begins; None if it doesn't end in them.

    `lines` have their ends. No more of them are taken than belong to the text.
    """
    quote, taken = "", list[str]()
    for line in lines:
        first = not taken
        if first:
            quote = QUOTES if line.startswith(QUOTES) else QUOTE
        end = _before_invisible(line)
        if line.endswith(quote, 0, end) and not (first and end < 2 * len(quote)):
            taken.append(line[:end])
            return "".join(taken)[len(quote) : -len(quote)]
        taken.append(line)
    return None


def quoted(text: str) -> str:
    """`text`, in quotes if it needs them; `can_be_quoted` says whether it is read as it was."""
    if text and not text.startswith(QUOTE) and text == printable(text).strip(BLANKS):
        return text
    return f"{QUOTES}{text}{QUOTES}" if QUOTE in text else f"{QUOTE}{text}{QUOTE}"


def can_be_quoted(text: str) -> bool:
    """Whether no line of `text` but the last ends with three quotes."""
    return QUOTES not in text or not any(
        line.endswith(QUOTES, 0, _before_invisible(line)) for line in _LINE_END.split(text)[:-1]
    )


def _before_invisible(line: str) -> int:
    """Where blanks, and what isn't printable, begin at the end of `line`."""
    end = len(line)
    while end and (line[end - 1] in BLANKS or not line[end - 1].isprintable()):
        end -= 1
    return end
