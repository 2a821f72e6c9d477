"""Flow charts in Mermaid's language as SVG, for pages that load no script: `flowchart TD` and lines `a --> b`."""

import re
from html import escape

_ARROW = re.compile(r"\s*([\w.]+) --> ([\w.]+)\s*")
_ROW, _BOX, _GAP, _CHARACTER = 74, 30, 22, 7.6
_SWEEPS = 8

Arrows = list[tuple[str, str]]


def drawn(source: str) -> str:
    """An SVG of the chart, coloured by the page's style. Raises ValueError if `source` is anything else."""
    title, *lines = source.strip().splitlines()
    arrows = [match.groups() for line in lines if (match := _ARROW.fullmatch(line))]
    if title != "flowchart TD" or len(arrows) != len(lines):
        raise ValueError(f"no flow chart of arrows alone: {source!r}")
    return _svg([(start, end) for start, end in arrows])


def rows(arrows: Arrows) -> list[list[str]]:
    """The boxes row by row: each one below all that point to it, and near to those it is joined with.

    Raises ValueError if the arrows go in a circle.
    """
    depth = dict.fromkeys((name for arrow in arrows for name in arrow), 0)
    for _ in depth:
        above = {end: max(depth[start] for start, other in arrows if other == end) for _, end in arrows}
        deeper = {name: row + 1 for name, row in above.items() if depth[name] <= row}
        depth.update(deeper)
        if not deeper:
            break
    else:
        raise ValueError("the arrows go in a circle")
    found = [sorted(name for name in depth if depth[name] == row) for row in range(max(depth.values()) + 1)]
    for sweep in range(_SWEEPS):
        place = {name: (at + 0.5) / len(row) for row in found for at, name in enumerate(row)}
        for row in found[1:] if sweep % 2 == 0 else found[-2::-1]:
            row.sort(key=lambda name: (_middle(name, arrows, place), name))
            place.update((name, (at + 0.5) / len(row)) for at, name in enumerate(row))
    return found


def _middle(name: str, arrows: Arrows, place: dict[str, float]) -> float:
    joined = [place[start] for start, end in arrows if end == name]
    joined += [place[end] for start, end in arrows if start == name]
    return sum(joined) / len(joined)


def _svg(arrows: Arrows) -> str:
    found = rows(arrows)
    widths = {name: len(name) * _CHARACTER + 24 for row in found for name in row}
    spans = [sum(widths[name] for name in row) + _GAP * (len(row) - 1) for row in found]
    width = max(*spans, 640) + 2 * _GAP
    places: dict[str, tuple[float, float]] = {}
    for at, row in enumerate(found):
        gap = (width - sum(widths[name] for name in row)) / (len(row) + 1)
        x = gap
        for name in row:
            places[name] = (x + widths[name] / 2, at * _ROW + _GAP)
            x += widths[name] + gap
    parts = [
        f'<svg class="flow" viewBox="0 0 {width:.0f} {len(found) * _ROW}" width="{width:.0f}" role="img" '
        f'aria-label="{len(places)} boxes and {len(arrows)} arrows" xmlns="http://www.w3.org/2000/svg">',
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8Z"/></marker>',
    ]
    for start, end in arrows:
        (x1, y1), (x2, y2) = places[start], places[end]
        y1, middle = y1 + _BOX, (y1 + _BOX + y2) / 2
        parts.append(
            f'<path d="M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}" '
            'marker-end="url(#tip)"/>'
        )
    for name, (x, y) in places.items():
        left = x - widths[name] / 2
        parts.append(f'<rect x="{left:.1f}" y="{y:.1f}" width="{widths[name]:.1f}" height="{_BOX}" rx="5"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{escape(name)}</text>')
    return "".join([*parts, "</svg>"])
