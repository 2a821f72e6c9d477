"""Draw the picture of rooms in docs/architecture.md from the imports.

`python scripts/draw_rooms.py` writes it, `--check` fails if it isn't up to date. An arrow from one room to another is
an import. What follows from other arrows is left out, and so are the leaves, which everything may import.
"""

import grimp
from written_part import keep

LEAVES = {
    *("booleans", "cache", "cgroups", "clock", "devices", "durations", "errors", "files", "loss", "metrics", "options"),
    *("host", "sampling", "settings", "template_preference", "variables", "version", "__main__"),
}


def imports() -> dict[str, set[str]]:
    """Which rooms each room imports, leaves left out."""
    graph = grimp.build_graph("swell")
    rooms = {child.removeprefix("swell.") for child in graph.find_children("swell")} - LEAVES
    return {
        room: {
            other
            for other in rooms - {room}
            if graph.direct_import_exists(importer=f"swell.{room}", imported=f"swell.{other}", as_packages=True)
        }
        for room in rooms
    }


def reduced(arrows: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the arrows that follow from others."""
    reach: dict[str, set[str]] = {}

    def below(room: str) -> set[str]:
        if room not in reach:
            reach[room] = arrows[room].union(*(below(other) for other in arrows[room]))
        return reach[room]

    return {room: others - set().union(*(below(other) for other in others)) for room, others in arrows.items()}


def picture() -> str:
    """The rooms as a flow chart in Mermaid's language."""
    arrows = sorted((room, other) for room, others in reduced(imports()).items() for other in others)
    lines = "".join(f"    {room} --> {other}\n" for room, other in arrows)
    return f"```mermaid\nflowchart TD\n{lines}```\n"


if __name__ == "__main__":
    keep("architecture.md", "picture", "draw_rooms.py", picture())
