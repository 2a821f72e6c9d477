"""How a model's window rose and fell, as a chart of characters. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from swell.cli.live.bars import Glyphs, Shade, Span

SPAN_S = 300.0
"""So much time a chart shows, and is kept for it."""


class WindowMoment(NamedTuple):
    """A model's largest slot at `at_s`."""

    at_s: float
    used_tokens: int
    granted_tokens: int


def chart(moments: Sequence[WindowMoment], now_s: float, size: tuple[int, int], glyphs: Glyphs) -> list[list[Span]]:
    """The time until `now_s` from left to right, in `size` columns and rows; as high as the largest grant in it."""
    columns, rows = size
    shown = [_at(moments, now_s - SPAN_S * (columns - 1 - column) / columns) for column in range(columns)]
    highest = max((moment.granted_tokens for moment in shown if moment), default=0)
    if highest <= 0:
        return []
    heights = [_heights(moment, highest, rows) for moment in shown]
    return [_row(heights, row, glyphs) for row in range(rows, 0, -1)]


def _at(moments: Sequence[WindowMoment], at_s: float) -> WindowMoment | None:
    """The latest moment no later than `at_s`; they are in their order."""
    index = bisect_right(moments, at_s, key=lambda moment: moment.at_s)
    return moments[index - 1] if index else None


def _heights(moment: WindowMoment | None, highest: int, rows: int) -> tuple[int, int]:
    """How many rows are used, and how many granted or used: one at least of what isn't nothing."""
    if moment is None:
        return 0, 0
    used, granted = (-(-tokens * rows // highest) for tokens in (moment.used_tokens, moment.granted_tokens))
    return min(used, rows), granted


def _row(heights: Sequence[tuple[int, int]], row: int, glyphs: Glyphs) -> list[Span]:
    """One row of all columns; neighbours that look alike are one piece."""
    spans: list[Span] = []
    for used, granted in heights:
        if used >= row:
            span = Span(glyphs.used, Shade.USED)
        elif granted >= row:
            span = Span(glyphs.granted, Shade.GRANTED)
        else:
            span = Span(" ")
        if spans and spans[-1].shade is span.shade:
            spans[-1] = Span(spans[-1].text + span.text, span.shade)
        else:
            spans.append(span)
    return spans
