"""The commands and programs of the pages do what they are there for: they end well, one page after the other.

Models and files that pages name are stood in for by small ones; so is the server's address.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.documents.pages import blocks
from tests.documents.shell import run, script
from tests.e2e.command import WINDOW
from tests.e2e.server import running
from tests.tiny.speller import write_speller

pytestmark = [pytest.mark.model, pytest.mark.slow]

PAGES = [
    *("docs/api.md", "docs/doctor.md", "docs/modelfile.md", "docs/models.md", "docs/observing.md", "docs/ollama.md"),
    *("docs/openai.md", "docs/python.md", "docs/troubleshooting.md", "docs/which-model.md", "docs/window.md"),
]
"""Those that aren't the newcomer's (tests/documents/newcomer.py)."""
MODELS = ("llama3.2",)
FILES = ("qwen3-4b-q8_0.gguf",)
TO_QUANTIZE = "qwen3-4b-f16.gguf"
LIMIT_S = 120


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """A shell's, in which the project's virtual environment is activated, and a home that is empty."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "SWELL_"))}
    own = tmp_path / "bin"
    own.mkdir()
    for name, command in (("python", sys.executable), ("swell", f"{sys.executable} -m swell")):
        (own / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (own / name).chmod(0o755)
    return {**inherited, "HOME": str(tmp_path), "PATH": f"{own}:{inherited['PATH']}", "NO_COLOR": "1"}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(page: str, tmp_path: Path, environment: Mapping[str, str], model_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).symlink_to(model_path)
    write_speller(tmp_path / TO_QUANTIZE)
    with running(tmp_path / "log", {**WINDOW, "OLLAMA_MODELS": str(tmp_path / "models")}) as server:
        for name in MODELS:
            copied = server.http.post("/api/copy", json={"source": "smollm2:135m", "destination": name})
            assert copied.status_code == 200, copied.text
        host = server.url.removeprefix("http://")
        text = script(blocks(page), host)
        done = run(text, tmp_path, {**environment, "OLLAMA_HOST": host}, limit_s=LIMIT_S)
    assert done.returncode == 0, done.stdout.decode(errors="replace")
