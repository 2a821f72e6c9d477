"""Tables of plain text, byte for byte in Ollama's format. Pure functions."""

import textwrap
from collections.abc import Sequence

from rich.cells import cell_len

GAP = " " * 4
WRAP_COLUMNS = 30
WIDE_WRAP_COLUMNS = 100


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """`header` over `rows`; every row has as many cells as the header. Ends with a newline."""
    widths = [max(map(cell_len, column)) for column in zip(header, *rows, strict=True)]
    head = GAP.join(_padded(cell, width) for cell, width in zip(header, widths, strict=True)) + " "
    return "\n".join([head, *(_line(row, widths) for row in rows), ""])


def section(title: str, rows: Sequence[Sequence[str]], wrap_columns: int = WRAP_COLUMNS) -> str:
    """`rows`, indented below `title`, with a blank line at the end; longer cells wrap at blanks."""
    cells = [[_wrapped(cell, wrap_columns) for cell in row] for row in rows]
    widths = [max(cell_len(line) for cell in column for line in cell) for column in zip(*cells, strict=True)]
    text = [f"  {title}"]
    for row in cells:
        height = max(map(len, row))
        for index in range(height):
            text.append(GAP + _line([cell[index] if index < len(cell) else "" for cell in row], widths))
    return "\n".join([*text, "", ""])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(_padded(cell, width) + GAP for cell, width in zip(cells, widths, strict=True))


def _padded(cell: str, columns: int) -> str:
    return cell + " " * (columns - cell_len(cell))


def _wrapped(cell: str, columns: int) -> list[str]:
    return textwrap.wrap(cell, columns, break_long_words=False, break_on_hyphens=False) or [""]
