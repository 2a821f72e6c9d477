"""The command line's side of `swell bench kv`: options in, tables out, files written."""

import dataclasses
import importlib.util
import math
import sys
from pathlib import Path

import msgspec

from swell.bench.kv import LEAST_WINDOW_TOKENS, BenchOptions, Report, measure, write
from swell.bench.plan import FIXED, PEER
from swell.bench.report import sections
from swell.bench.tables import as_markdown, as_text


def bench_kv(options: BenchOptions, command: str, folder: Path) -> None:
    """Measure, print tables and write `kv-<date>.json` and `.md` to `folder`. Raises BenchError or OSError."""
    options = dataclasses.replace(options, window_tokens=max(options.window_tokens, LEAST_WINDOW_TOKENS))
    if options.with_peer and importlib.util.find_spec("xllamacpp") is None:
        print(f"leaving out {PEER}: xllamacpp is not installed", file=sys.stderr)
        options = dataclasses.replace(options, with_peer=False)
    folder.mkdir(parents=True, exist_ok=True)
    report = measure(options, command, lambda line: print(line, file=sys.stderr, flush=True))
    tables, head = sections(report), _head(report, options)
    stem = folder / f"kv-{report.date[:16].replace(':', '')}Z"
    write(report, stem.with_suffix(".json"))
    stem.with_suffix(".md").write_text(f"# KV cache: {report.model}\n\n{head}\n{as_markdown(tables)}")
    sys.stdout.write(f"{head}\n{as_text(tables)}\n{stem.with_suffix('.json')}\n")


def _head(report: Report, options: BenchOptions) -> str:
    """What was measured, where, and what there was no time for."""
    found = report.machine
    lines = [
        f"`{report.command}`, {report.date}, took {report.duration_s:.0f} s.",
        ", ".join(f"{name} {version}" for name, version in report.versions.items()) + f", Python {found.python}.",
        f"{found}, huge pages {found.huge_pages}.",
        f"Window {report.window_tokens}, {report.threads} threads, {report.cell_bytes} bytes per token in f16.",
    ]
    if not math.isinf(options.budget_s):
        reached = [
            f"{series.subject} {series.slots} x {max(series.token_counts, default=0)}"
            for series in report.waste
            if series.token_counts != report.token_counts
        ]
        if reached:
            limits = ", ".join(reached)
            lines.append(f"Within {options.budget_s / 60:g} minutes slots were filled no further than: {limits}.")
            lines.append(f"`--full` fills all. The cache of {' and '.join(FIXED)} has one size however full it is.")
    return "\n".join([*lines, ""])


def read(path: Path) -> Report:
    """A report that was written. Raises OSError, or msgspec.DecodeError where it is none."""
    return msgspec.json.decode(path.read_bytes(), type=Report)
