"""A part of a page that a script writes: between `<!-- WHAT: scripts/NAME.py -->` and `<!-- end of WHAT -->`."""

import argparse
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def keep(page: str, what: str, script: str, part: str) -> None:
    """Write `part` into a page of the documents; with `--check`, fail if it isn't what stands there.

    `what` is a word for it, `script` the name of the file that makes it.
    """
    parser = argparse.ArgumentParser(description=f"Write the {what} in docs/{page}.")
    parser.add_argument("--check", action="store_true", help=f"fail if the {what} isn't up to date")
    path, begin, end = DOCS / page, f"<!-- {what}: scripts/{script} -->\n", f"<!-- end of {what} -->\n"
    text = path.read_text()
    before, has_begin, rest = text.partition(begin)
    _, has_end, after = rest.partition(end)
    if not has_begin or not has_end:
        sys.exit(f"docs/{page} has no place for the {what}")
    new = f"{before}{begin}{part}{end}{after}"
    if not parser.parse_args().check:
        path.write_text(new)
    elif new != text:
        sys.exit(f"docs/{page}: the {what} is out of date; run python scripts/{script}")
