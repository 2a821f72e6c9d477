"""`python -m tests.documents.typist COMMAND LINE...`: somebody at a terminal, who types a line at each prompt."""

import os
import sys

from tests.cli.terminal import Terminal

_PROMPT = ">>> "


def main(command: str, *lines: str) -> int:
    """The command's exit status; what it showed goes to stdout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with Terminal(environment=environment, program=("bash", "-c", f"exec {command}")) as terminal:
        for line in lines:
            sys.stdout.write(terminal.until(_PROMPT))
            terminal.type(f"{line}\r")
        return terminal.end()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
