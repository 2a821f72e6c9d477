"""One bar for a window: what is used of it, what is granted beyond, and what it may yet become. Pure."""

from enum import Enum
from typing import NamedTuple


class Shade(Enum):
    """How a piece of a line looks."""

    PLAIN = "plain"
    STRONG = "strong"
    FAINT = "faint"
    USED = "used"
    GRANTED = "granted"
    NEWS = "news"


class Span(NamedTuple):
    """A piece of a line."""

    text: str
    shade: Shade = Shade.PLAIN


class Glyphs(NamedTuple):
    """What a bar is made of, from what is used to what isn't granted; what points at a model; what parts numbers."""

    used: str
    granted: str
    free: str
    left: str
    right: str
    pointer: str
    rule: str


UNICODE = Glyphs("█", "▒", "·", "▕", "▏", "▶", "─")
ASCII = Glyphs("#", "=", ".", "[", "]", ">", "-")


def glyphs_for(encoding: str) -> Glyphs:
    """What a terminal of this encoding can show."""
    try:
        "".join(UNICODE).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def shares(used: int, granted: int, ceiling: int, columns: int) -> tuple[int, int, int]:
    """How many of `columns` each part gets: in proportion, and one at least for what isn't nothing if there is room.

    What is used beyond the grant counts as granted, and what is granted beyond the ceiling raises that.
    """
    granted = max(granted, used)
    total = max(ceiling, granted)
    if total <= 0 or columns <= 0:
        return 0, 0, max(columns, 0)
    parts = (used, granted - used, total - granted)
    ends = (columns * used // total, columns * granted // total, columns)
    widths = [ends[0], ends[1] - ends[0], ends[2] - ends[1]]
    for index, part in enumerate(parts):
        if part > 0 and widths[index] == 0:
            widest = widths.index(max(widths))
            if widths[widest] > 1:
                widths[widest] -= 1
                widths[index] = 1
    return widths[0], widths[1], widths[2]


def bar(used: int, granted: int, ceiling: int, columns: int, glyphs: Glyphs) -> list[Span]:
    """A bar that takes `columns` with its ends; nothing where there is no room for one."""
    inner = columns - 2
    if inner < 1:
        return []
    used_columns, granted_columns, free_columns = shares(used, granted, ceiling, inner)
    return [
        Span(glyphs.left, Shade.FAINT),
        Span(glyphs.used * used_columns, Shade.USED),
        Span(glyphs.granted * granted_columns, Shade.GRANTED),
        Span(glyphs.free * free_columns, Shade.FAINT),
        Span(glyphs.right, Shade.FAINT),
    ]
