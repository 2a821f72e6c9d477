"""Charts as SVG: the same numbers give the same file, to the last byte. Pure functions; they know no measurements.

A chart brings its own background and loads nothing, so it looks the same on a page, on any theme, and by itself.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 72, 52
COLOURS = {"swell": "#0e7680", "light": "#a5d8d8", "peer": "#8b95a1", "third": "#c98a2b"}
_TOPS = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)
"""Of these times a power of ten, a quarter has few digits."""
_INK, _PALE, _LINE, _PAPER = "#16323a", "#5a6b73", "#dde5e7", "#ffffff"


class Series(NamedTuple):
    """One colour of a chart: the name in its legend, a key of COLOURS, and its numbers."""

    name: str
    colour: str
    values: Sequence[float]


class Curve(NamedTuple):
    """One line of a chart. `fills` paints what is below it; `steps` goes along before it goes up."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    fills: bool = False
    steps: bool = False


class Labels(NamedTuple):
    """The words of a chart, and which numbers its axes show."""

    title: str
    across: str
    up: str


def bars(labels: Labels, groups: Sequence[str], series: Sequence[Series]) -> str:
    """Bars side by side for each of `groups`, with their numbers above."""
    top = _ceiling(max(value for one in series for value in one.values))
    step = (WIDTH - LEFT - RIGHT) / len(groups)
    width = min(64.0, step * 0.8 / len(series))
    parts = []
    for at, group in enumerate(groups):
        middle = LEFT + step * (at + 0.5)
        parts.append(_text(middle, HEIGHT - BOTTOM + 20, group, anchor="middle"))
        for number, one in enumerate(series):
            x = middle + width * (number - len(series) / 2)
            y = _height(one.values[at], top)
            parts.append(
                f'<rect x="{x + 2:.1f}" y="{y:.1f}" width="{width - 4:.1f}" height="{HEIGHT - BOTTOM - y:.1f}" '
                f'fill="{COLOURS[one.colour]}"/>'
            )
            parts.append(_text(x + width / 2, y - 5, _number(one.values[at]), anchor="middle", size=11))
    return _chart(labels, top, [(one.name, one.colour) for one in series], parts)


def curves(labels: Labels, lines: Sequence[Curve], ticks: Sequence[float], up_ticks: Sequence[float] = ()) -> str:
    """Lines over numbers; the later ones lie above the earlier ones."""
    top = max(up_ticks) if up_ticks else _ceiling(max(y for line in lines for _, y in line.points))
    start, end = ticks[0], ticks[-1]

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - start) / (end - start)

    parts = [_text(across(tick), HEIGHT - BOTTOM + 20, f"{tick:,.0f}", anchor="middle") for tick in ticks]
    for line in lines:
        places = [(across(x), _height(y, top)) for x, y in line.points]
        path = _path(places, steps=line.steps)
        if line.fills:
            floor = HEIGHT - BOTTOM
            closed = f"{path}L{places[-1][0]:.1f} {floor}L{places[0][0]:.1f} {floor}Z"
            parts.append(f'<path d="{closed}" fill="{COLOURS[line.colour]}"/>')
        else:
            parts.append(f'<path d="{path}" fill="none" stroke="{COLOURS[line.colour]}" stroke-width="2.5"/>')
    return _chart(labels, top, [(line.name, line.colour) for line in lines], parts, up_ticks)


def _chart(
    labels: Labels, top: float, legend: Iterable[tuple[str, str]], parts: Iterable[str], up_ticks: Sequence[float] = ()
) -> str:
    grid = []
    for value in up_ticks or [top * quarter / 4 for quarter in range(5)]:
        y = _height(value, top)
        grid.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{_LINE}"/>')
        grid.append(_text(LEFT - 8, y + 4, _number(value), anchor="end", colour=_PALE))
    x = float(LEFT)
    for name, colour in legend:
        grid.append(f'<rect x="{x:.1f}" y="40" width="12" height="12" rx="2" fill="{COLOURS[colour]}"/>')
        grid.append(_text(x + 17, 50, name))
        x += 40 + 6.6 * len(name)
    title = escape(labels.title)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img" font-family="sans-serif">',
            f"<title>{title}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{_PAPER}"/>',
            _text(LEFT, 26, labels.title, size=15, weight="bold"),
            *grid,
            *parts,
            _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, labels.across, anchor="middle", colour=_PALE),
            f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2:.1f}) rotate(-90)" text-anchor="middle" '
            f'font-size="12" fill="{_PALE}">{escape(labels.up)}</text>',
            "</svg>\n",
        ]
    )


def _path(places: Sequence[tuple[float, float]], *, steps: bool) -> str:
    (x, y), *rest = places
    words = [f"M{x:.1f} {y:.1f}"]
    for x, y in rest:
        words.append(f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f} {y:.1f}")
    return "".join(words)


def _height(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / top


def _ceiling(value: float) -> float:
    """The next number of which a quarter is short."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in _TOPS if factor * power >= value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _text(x: float, y: float, words: str, **style: object) -> str:
    anchor, size = style.get("anchor", "start"), style.get("size", 12)
    colour, weight = style.get("colour", _INK), style.get("weight", "normal")
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}">{escape(words)}</text>'
    )
