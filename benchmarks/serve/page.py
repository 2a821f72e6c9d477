"""The page that a benchmark leaves behind: how it was made, and its tables."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from swell.bench.machine import machine, versions
from swell.bench.tables import Section, as_markdown, as_text


def publish(name: str, title: str, tables: list[Section], folder: Path | None) -> None:
    """Print the tables of `benchmarks.serve.<name>`; with a folder, write them to <name>-<date>.md in it, too."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    head = (
        f"`{shlex.join(['python', '-m', f'benchmarks.serve.{name}', *sys.argv[1:]])}`, {date}.\n"
        f"{', '.join(f'{package} {version}' for package, version in versions().items())}. {machine()}.\n"
    )
    sys.stdout.write(f"{head}\n{as_text(tables)}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{name}-{date[:16].replace(':', '')}Z.md"
        target.write_text(f"# {title}\n\n{head}\n{as_markdown(tables)}")
