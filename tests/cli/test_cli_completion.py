"""What shells offer: their own functions, run by the shells, with a server that lists models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.conftest import Answers
from tests.cli.terminal import Terminal

from swell.cli.completion import joined

MODELS = ["qwen3:4b", "qwen3:8b", "Smol:latest", "registry.example:5000/some/model:tag"]
NAMES = st.text("ab-.", min_size=1, max_size=3)
LINES = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(":".join), min_size=1, max_size=4)

BASH = """
eval "$(swell --show-completion)"
COMP_WORDS=({words}); COMP_CWORD={index}
_swell_completion swell
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = """
swell --show-completion | source
complete -C "swell {line}"
"""


@pytest.fixture(autouse=True)
def _models(answers: Answers) -> None:
    rows = [{"name": name, "digest": "", "size": 1, "modified_at": "2026-01-01T00:00:00Z"} for name in MODELS]
    answers["GET /api/tags"] = (200, json.dumps({"models": rows}))


@pytest.fixture
def shells(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment with a `swell` on the search path, and nobody's own configuration of a shell."""
    program = tmp_path / "bin/swell"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m swell "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), environment["PATH"]])
    return environment | {"PATH": path, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def _run(command: list[str], environment: dict[str, str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def bash(environment: dict[str, str], *words: str) -> list[str]:
    """What bash offers when the last of `words` is being typed, split as bash splits them."""
    script = BASH.format(words=" ".join(f"'{word}'" for word in words), index=len(words) - 1)
    return _run(["bash", "--norc", "-c", script], environment)


def fish(environment: dict[str, str], line: str) -> list[str]:
    return _run(["fish", "--no-config", "-c", FISH.format(line=line)], environment)


@pytest.mark.slow
def test_bash(shells: dict[str, str]) -> None:
    assert bash(shells, "swell", "run", "qw") == ["qwen3:4b", "qwen3:8b"]
    assert bash(shells, "swell", "run", "") == MODELS
    assert bash(shells, "swell", "run", "Sm") == ["Smol:latest"]
    assert bash(shells, "swell", "run", "qwen3", ":") == ["4b", "8b"]  # what bash has as a word of its own stays
    assert bash(shells, "swell", "run", "qwen3", ":", "8") == ["8b"]
    assert bash(shells, "swell", "show", "registry.example", ":", "5000/s") == ["5000/some/model:tag"]
    assert bash(shells, "swell", "rm", "qwen3", ":", "8b", "qwen3", ":", "4") == ["4b"]
    assert bash(shells, "swell", "launch", "cla") == ["claude"]
    assert bash(shells, "swell", "launch", "claude", "--model", "Sm") == ["Smol:latest"]
    assert bash(shells, "swell", "doc") == ["doctor"]
    assert bash(shells, "swell", "bench", "") == ["kv"]
    assert "--keepalive" in bash(shells, "swell", "run", "--")


@pytest.mark.slow
def test_bash_at_a_terminal(shells: dict[str, str]) -> None:
    """A tabulator after a colon, at which bash ends words."""
    with Terminal("--norc", environment=shells | {"PS1": "$ "}, program=["bash"]) as terminal:
        terminal.until("$ ")
        terminal.type('eval "$(swell --show-completion)"\n')
        terminal.until("\n")
        terminal.until("$ ")
        terminal.type("swell run registry.example:5000/\t")
        terminal.until("registry.example:5000/some/model:tag")


@pytest.mark.slow
def test_zsh_at_a_terminal(shells: dict[str, str]) -> None:
    with Terminal("--no-rcs", environment=shells | {"PS1": "$ "}, program=["zsh"]) as terminal:
        terminal.until("$ ")
        terminal.type('autoload -U compinit; compinit -u; eval "$(swell --show-completion)"\n')
        terminal.until("$ ")
        terminal.type("swell show registry\t")
        terminal.until("example:5000/some/model:tag")


@pytest.mark.slow
def test_fish(shells: dict[str, str]) -> None:
    assert fish(shells, "run qwen3:") == ["qwen3:4b", "qwen3:8b"]
    assert [line.split("\t")[0] for line in fish(shells, "doc")] == ["doctor"]


@pytest.mark.slow
def test_without_a_server_nothing_is_offered(shells: dict[str, str]) -> None:
    assert bash(shells | {"OLLAMA_HOST": "127.0.0.1:1"}, "swell", "run", "") == []


@pytest.mark.slow
def test_completion_is_installed_for_the_shell_that_runs(shells: dict[str, str], tmp_path: Path) -> None:
    (told, _) = _run(["bash", "--norc", "-c", "swell --install-completion; true"], shells)
    assert told.startswith("bash completion installed")
    (script,) = (tmp_path / ".bash_completions").iterdir()
    assert "_swell_completion" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


@given(line=LINES, data=st.data())
def test_words_are_joined_as_they_were_typed(line: list[str], data: st.DataObject) -> None:
    pieces: list[tuple[str, int]] = []  # as bash splits the line, and which word each belongs to
    for number, word in enumerate(line):
        first, *others = word.split(":")
        pieces += [(first, number), *((piece, number) for other in others for piece in (":", other))]
    at = data.draw(st.integers(0, len(pieces) - 1))
    assert joined([piece for piece, _ in pieces], at) == (line, pieces[at][1])
