"""Tables of results, as aligned text and as Markdown. Pure functions."""

import dataclasses
from collections.abc import Sequence

_GAP = "  "


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A titled table with a note below it; every row has as many cells as the header."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def as_text(sections: Sequence[Section]) -> str:
    """For a terminal: first column to the left, numbers to the right. Ends with a newline."""
    return "\n".join(_text(section) for section in sections)


def as_markdown(sections: Sequence[Section]) -> str:
    """For a file. Ends with a newline."""
    return "\n".join(_markdown(section) for section in sections)


def _text(section: Section) -> str:
    widths = [max(map(len, column)) for column in zip(section.header, *section.rows, strict=True)]
    lines = [section.title, ""]
    for row in (section.header, *section.rows):
        first, *rest = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
        lines.append(_GAP.join(cells).rstrip())
    return "\n".join([*lines, *_noted(section.note), ""])


def _markdown(section: Section) -> str:
    rule = ["---", *("---:" for _ in section.header[1:])]
    lines = [f"## {section.title}", ""]
    lines += [f"| {' | '.join(row)} |" for row in (section.header, rule, *section.rows)]
    return "\n".join([*lines, *_noted(section.note), ""])


def _noted(note: str) -> list[str]:
    return ["", note] if note else []
