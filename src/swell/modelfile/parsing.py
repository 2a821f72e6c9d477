"""Reading Modelfiles.

Each instruction stands on a line of its own: its name, blanks, its text. A text in quotes may go on over several lines
(`quoting`). Nothing that can't be seen counts outside quotes.
"""

import codecs
import re
from collections.abc import Iterator

from swell.errors import ModelfileLineError, NoModelError
from swell.modelfile.instructions import INSTRUCTIONS, UNFINISHED, Instruction, Modelfile
from swell.modelfile.quoting import BLANKS, QUOTE, printable, unquoted

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_HEAD = re.compile(r"([A-Za-z]+)(?:[ \t]+(.*))?")
_KEYED = ("parameter", "message")

_ONE_OF = ", ".join(f'"{name}"' for name in INSTRUCTIONS[:-1]) + f', or "{INSTRUCTIONS[-1]}"'
_UNKNOWN_INSTRUCTION = f"command must be one of {_ONE_OF}"


def parse_modelfile(data: bytes) -> Modelfile:
    """The Modelfile in `data`, which is UTF-8, or UTF-16 if a byte order mark says so.

    Raises ModelfileLineError or NoModelError.
    """
    lines = enumerate(_LINE.findall(_decoded(data)), 1)
    found = Modelfile(tuple(_instructions(lines)))
    if not found.texts("from"):
        raise NoModelError
    return found


def _decoded(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def _instructions(lines: Iterator[tuple[int, str]]) -> Iterator[Instruction]:
    for number, line in lines:
        head, quote, rest = line.partition(QUOTE)
        head = printable(head).lstrip(BLANKS)
        if not head.startswith("#") and (head or quote):
            one = _instruction(head, quote + rest, lines, number)
            if one.fault:
                raise ModelfileLineError(number, one.fault)
            yield one


def _instruction(head: str, tail: str, lines: Iterator[tuple[int, str]], number: int) -> Instruction:
    """The instruction on line `number`, which is `head` until the first quote and then `tail`."""
    found = _HEAD.fullmatch(head)
    if found is None or found[1].lower() not in INSTRUCTIONS:
        raise ModelfileLineError(number, _UNKNOWN_INSTRUCTION)
    name, key, text = found[1].lower(), "", found[2]
    if text is not None and name in _KEYED:
        key, text = _split(text)
    if text is None:
        raise ModelfileLineError(number, UNFINISHED)
    if text or not tail:
        return Instruction(name, (text + printable(tail)).strip(BLANKS), key, number)
    inner = unquoted(_followed(tail, lines))
    if inner is None:
        raise ModelfileLineError(number, UNFINISHED)
    return Instruction(name, inner, key, number)


def _split(text: str) -> tuple[str, str | None]:
    """The first word, and what is behind the blanks after it; None if there are none."""
    key, *rest = re.split("[ \t]+", text, maxsplit=1)
    return key, rest[0] if rest else None


def _followed(tail: str, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    yield tail
    yield from (line for _, line in lines)
