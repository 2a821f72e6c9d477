"""Asks the real text/template what it writes for all cases: `python -m tests.gotemplate.regenerate`. Takes Go."""

import subprocess
from pathlib import Path

from tests.gotemplate.cases import EXPECTED, GROUPS, go_input

PROGRAM = Path(__file__).parent / "reference/main.go"


def main() -> None:
    EXPECTED.mkdir(exist_ok=True)
    for group in GROUPS:
        run = subprocess.run(["go", "run", PROGRAM], input=go_input(group), capture_output=True, text=True, check=True)
        (EXPECTED / f"{group}.json").write_text(run.stdout)


if __name__ == "__main__":
    main()
