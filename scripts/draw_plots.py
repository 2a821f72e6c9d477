"""Draw the plots of the documents from what is kept in benchmarks/results.

`python scripts/draw_plots.py` writes docs/images/plots, `--check` fails if anything there isn't up to date. Numbers are
read from the tables that were published with each result; nothing is measured, rounded or left out here.
"""

import argparse
import json
import sys
from pathlib import Path

from svg_charts import Curve, Labels, Series, bars, curves

ROOT = Path(__file__).parents[1]
RESULTS, PLOTS = ROOT / "benchmarks/results", ROOT / "docs/images/plots"

WINDOW = "window-2026-11-27T0004Z.json"
CACHE = "kv-2026-11-26T1625Z.md"
SERVING = "serve-2026-11-22T1649Z.md"
SHARING = "sharing-2026-11-25T1034Z.md"
FLEET = "fleet-2026-11-27T0603Z.json"

SWELL, PEER = "Swell", "llama.cpp's server"
WORKLOADS = ("Short chat", "Long prompt", "Shared prefix", "Multi-turn")


def table(name: str, heading: str) -> dict[str, list[str]]:
    """The rows of the table under `heading` in a result, by their first cell. The first row, `""`, is its header."""
    text = (RESULTS / name).read_text()
    _, _, section = text.partition(f"\n## {heading}\n")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    if not lines:
        raise SystemExit(f"{name} has no table under {heading!r}")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {"": cells[0][1:]} | {row[0]: row[1:] for row in cells[2:]}


def window() -> str:
    """What a model's window was like while it told a story, had two short conversations, and idled."""
    result = json.loads((RESULTS / WINDOW).read_text())
    samples = [dict(zip(result["fields"], sample, strict=True)) for sample in result["samples"]]

    def points(field: str) -> list[tuple[float, float]]:
        return [(sample["at_s"], sample[field]) for sample in samples]

    ceiling = samples[0]["context_length"]
    end_s = samples[-1]["at_s"]
    lines = [
        Curve("granted", "light", points("context_allocated"), fills=True, steps=True),
        Curve("used", "swell", points("context_used"), fills=True),
        Curve("ceiling: what is allocated elsewhere", "peer", [(0, ceiling), (end_s, ceiling)]),
    ]
    labels = Labels("A model's window while it is used", "seconds", "tokens")
    return curves(labels, lines, [*range(0, int(end_s) - 30, 60), end_s], range(0, ceiling + 1, 1024))


def cache() -> str:
    """Resident bytes of the cache with so many tokens stored: waste x tokens x bytes of a token."""
    rows = table(CACHE, "Waste of the KV cache")
    names = rows.pop("")
    token_bytes = json.loads((RESULTS / CACHE).with_suffix(".json").read_text())["cell_bytes"]
    measured = {row: cells for row, cells in rows.items() if not row.endswith("left") and "-" not in cells}
    tokens = [int(row.rpartition(" ")[2]) for row in measured]

    def values(name: str) -> list[float]:
        waste = [float(cells[names.index(name)]) for cells in measured.values()]
        return [factor * count * token_bytes / 1e6 for factor, count in zip(waste, tokens, strict=True)]

    series = [
        Series("Swell", "swell", values("reserved")),
        Series("Swell, where it must copy", "light", values("copied")),
        Series("Swell, eager", "third", values("eager")),
        Series("llama.cpp's server", "peer", values("llama.cpp server")),
    ]
    groups = [f"{count:,} tokens stored" for count in tokens]
    return bars(Labels("Memory of the cache, window of 8,192 tokens", "", "MB"), groups, series)


def serving(column: str, labels: Labels) -> str:
    """One column of the serving benchmark at eight clients, for each workload."""
    series = []
    for server, colour in ((SWELL, "swell"), (PEER, "peer")):
        tables = [table(SERVING, workload) for workload in WORKLOADS]
        series.append(Series(server, colour, [float(rows[f"8 x {server}"][rows[""].index(column)]) for rows in tables]))
    return bars(labels, WORKLOADS, series)


def neighbours() -> str:
    """Tokens per second beside busy processes, and of two models at once."""
    rows = table(SHARING, "Decoding, tokens per second")
    kinds = {
        "alone": "0 neighbours",
        "one busy process": "1 neighbours",
        "two busy processes": "2 neighbours",
        "two models at once": "two models at once",
    }

    def values(server: str) -> list[float]:
        return [float(rows[f"{server}, {kind}"][0].partition(" ")[0]) for kind in kinds.values()]

    series = [Series(SWELL, "swell", values(SWELL)), Series(PEER, "peer", values(PEER))]
    return bars(Labels("Writing beside others, two cores", "", "tokens per second"), list(kinds), series)


def fleet(field: str, labels: Labels, factor: float) -> str:
    """One number of simulated fleets, by how many replicas they have and how turns are routed."""
    found = json.loads((RESULTS / FLEET).read_text())["fleets"]
    colours = {"prefix": "swell", "least loaded": "third", "round robin": "peer"}
    series = [
        Series(policy, colour, [round(one[field] * factor, 2) for one in found if one["policy"] == policy])
        for policy, colour in colours.items()
    ]
    counts = [one["replicas"] for one in found if one["policy"] == "prefix"]
    return bars(labels, [f"{count} replicas" for count in counts], series)


def plots() -> dict[str, str]:
    """All plots, by the names of their files."""
    return {
        "window.svg": window(),
        "cache.svg": cache(),
        "speed.svg": serving("total tok/s", Labels("Eight clients: speed of all together", "", "tokens per second")),
        "memory.svg": serving("MB", Labels("Eight clients: memory of the server's processes", "", "MB")),
        "neighbours.svg": neighbours(),
        "fleet-hits.svg": fleet("hit_rate", Labels("Tokens of prompts that needn't be read", "", "percent"), 100),
        "fleet-first.svg": fleet("first_p95_s", Labels("Time to first token, which 95 % stay below", "", "seconds"), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail if a plot isn't up to date")
    drawn = plots()
    if not parser.parse_args().check:
        PLOTS.mkdir(parents=True, exist_ok=True)
        for name, text in drawn.items():
            (PLOTS / name).write_text(text)
        return
    there = {path.name: path.read_text() for path in PLOTS.iterdir()}
    if there != drawn:
        names = sorted(name for name in there.keys() | drawn.keys() if there.get(name) != drawn.get(name))
        sys.exit(f"docs/images/plots: {', '.join(names)}: not up to date; run python scripts/draw_plots.py")


if __name__ == "__main__":
    main()
