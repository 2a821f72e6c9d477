"""Carries out what is fenced in a page: one shell for a page, from top to bottom."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.documents.pages import ROOT, Block

_ADDRESSES = ("127.0.0.1:11434", "localhost:11434")
_PREAMBLE = """set -eEo pipefail
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
ready() {
    until curl --silent --fail --output /dev/null "http://$OLLAMA_HOST/"; do kill -0 $!; sleep 0.1; done
}
"""
_ENDS_S = 60
TOO_LONG = 124
"""As timeout(1) says it."""


def script(blocks: Iterable[Block], host: str) -> str:
    """A program for bash that does what the blocks say; `host` stands for the address that pages name."""
    text = _PREAMBLE
    for block in blocks:
        if block.runs:
            text += f"\necho '# {block.place}' >&2\n{_commands(block)}"
    for address in _ADDRESSES:
        text = text.replace(address, host)
    return text


def run(
    text: str, folder: Path, environment: Mapping[str, str], *, limit_s: float
) -> subprocess.CompletedProcess[bytes]:
    """Run a script in a folder, and end what it has left in the background. `stdout` is all that was printed.

    One that takes longer than `limit_s` is ended, with TOO_LONG as its status.
    """
    with (folder / "output").open("w+b") as output:
        shell = subprocess.Popen(
            ["bash", "-c", text],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = TOO_LONG
        finally:
            _end(shell)
        output.seek(0)
        return subprocess.CompletedProcess(shell.args, code, output.read())


def _commands(block: Block) -> str:
    if block.language == "python":
        return f"python - <<'END-OF-BLOCK'\n{block.text}END-OF-BLOCK\n"
    if block.language == "modelfile":
        return f"cat > Modelfile <<'END-OF-BLOCK'\n{block.text}END-OF-BLOCK\n"
    if block.language == "console":
        return _typed(block.text)
    if not block.stays:
        return block.text
    return f"{{\n{block.text}}} &\n{'ready' if 'swell serve' in block.text else ''}\n"


def _typed(text: str) -> str:
    """A command after `$ `, and lines after `>>> ` that are typed into it at a terminal."""
    command, *typed = [line[2:] if line.startswith("$ ") else line for line in text.splitlines()]
    lines = [line.removeprefix(">>> ") for line in typed if line.startswith(">>> ")]
    if not lines:
        return f"{command}\n"
    typist = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.documents.typist"]
    return f"{shlex.join([*typist, command, *lines])}\n"


def _end(shell: subprocess.Popen[bytes]) -> None:
    """End the shell and all of its group."""
    deadline_s = time.monotonic() + _ENDS_S
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGTERM)
        while time.monotonic() < deadline_s:
            shell.poll()
            os.killpg(shell.pid, 0)
            time.sleep(0.05)
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()
