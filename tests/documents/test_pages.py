"""What is fenced in the documents is run, or says why not; what is drawn or counted in them is up to date."""

import re
import subprocess
import sys

import pytest
from tests.documents.newcomer import FOLLOWED
from tests.documents.pages import ROOT, RUN, SHOWN, blocks, pages
from tests.documents.test_commands import PAGES

NOT_RUN = {
    "docs/agents.md": [
        "swell launch claude --model qwen3-coder:30b",
        "swell launch codex --model qwen3-coder:30b",
        "swell launch opencode --model qwen3-coder:30b",
        "pip install open-webui",
    ],
    "docs/dependencies.md": ['export CFLAGS="-mno-amx-tile -mno-amx-int8 -mno-amx-bf16"'],
    "docs/deploy.md": [
        "python3 -m venv /opt/swell",
        "cp packaging/systemd/swell.service /etc/systemd/system/",
        "podman build --file packaging/Containerfile --tag swell .",
        "systemctl disable --now swell",
    ],
    "docs/fleet.md": [
        "pip install 'swell[fleet]'",
        "ray start --head --port 6379 --include-dashboard=false     # on the first",
    ],
    "docs/gpu.md": [
        "make demo BACKEND=auto        # or cpu, vulkan, cuda, rocm",
        "pip install --no-cache-dir --force-reinstall --no-deps --no-binary llama-cpp-python \\",
        "swell doctor                              # Devices: CUDA0, with its memory",
    ],
    "docs/models.md": ["swell pull llama3.2                                   # from Ollama's library"],
    "docs/ollama.md": ["sudo systemctl stop ollama"],
    "docs/sizes.md": [
        'sqlite3 ~/.local/state/swell/sizes.db "SELECT model, count(*), max(tokens) FROM sizes GROUP BY model"'
    ],
    "docs/workers.md": [
        "pip install --no-cache-dir --force-reinstall --no-deps --no-binary llama-cpp-python \\",
        "swell worker --host 192.168.1.20 --memory 24GB      # on each machine that lends; "
        "port 50052 unless --port says other",
    ],
}
"""The first lines of what CI doesn't run. A page says the reason in a comment before each."""
REASON_CHARACTERS_MIN = 15
README_LINES_MAX = 60


@pytest.mark.parametrize("page", pages())
def test_what_is_fenced_says_what_it_is(page: str) -> None:
    text = (ROOT / page).read_text()
    found = blocks(page)
    assert text.count("```") == 2 * len(found), "a fence that isn't at the beginning of a line, or has no end"
    assert [block.place for block in found if block.language not in (*RUN, *SHOWN)] == []
    comments = [block.comment for block in found if block.comment]
    assert len(re.findall("^<!-- (?:not )?run", text, re.MULTILINE)) == len(comments), "a comment without its block"
    assert all(comment == "run: stays" or comment.startswith("not run: ") for comment in comments)


def test_nothing_is_left_out_in_silence() -> None:
    left_out: dict[str, list[str]] = {}
    for block in (block for page in pages() for block in blocks(page) if block.reason):
        left_out.setdefault(block.page, []).append(block.text.splitlines()[0])
    assert left_out == NOT_RUN
    reasons = [block.reason for page in pages() for block in blocks(page) if block.reason]
    assert min(map(len, reasons)) >= REASON_CHARACTERS_MIN


def test_every_page_with_commands_is_followed_by_somebody() -> None:
    with_commands = {page for page in pages() if any(block.runs for block in blocks(page))}
    assert with_commands == {*PAGES, *FOLLOWED}


@pytest.mark.parametrize("script", ["draw_plots.py", "write_sizes.py"])
def test_what_scripts_write_is_up_to_date(script: str) -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_readme_stays_short() -> None:
    assert (ROOT / "README.md").read_text().count("\n") <= README_LINES_MAX
