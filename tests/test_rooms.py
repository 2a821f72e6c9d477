"""Which room may import which: the contracts hold, and notice what breaks them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINT = Path(sys.executable).parent / "lint-imports"


def lint(source: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    chosen = [argument for contract in contracts for argument in ("--contract", contract)]
    command = [str(LINT), "--no-logo", "--no-cache", "--config", str(ROOT / "pyproject.toml"), *chosen]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.run(command, env=environment, cwd=source, capture_output=True, text=True, check=False)


def test_the_contracts_hold() -> None:
    run = lint(ROOT / "src")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("floors", "turns/prompt.py", "import swell.api.app"),
        ("floors", "text/stream.py", "import swell.models.model"),
        ("floors", "clock.py", "import swell.errors"),
        ("floors", "parlour/__init__.py", "import swell.errors"),  # a room that no floor knows
        ("circles", "scheduler/policy.py", "import swell.scheduler.scheduler"),
        ("http", "supervisor/causes.py", "import starlette.requests"),
        ("llama", "runner/engine.py", "import llama_cpp"),
        ("ctypes", "kv/policy.py", "import ctypes"),
        ("server", "memory/budget.py", "import numpy"),
        ("registries", "registry/board.py", "import httpx"),
        ("commands", "cli/names.py", "import swell.scheduler.policy"),
        ("dialects", "api/openai/bodies.py", "import swell.api.anthropic.bodies"),
    ],
)
def test_what_breaks_a_contract_is_noticed(tmp_path: Path, contract: str, module: str, line: str) -> None:
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    broken = source / "swell" / module
    broken.parent.mkdir(exist_ok=True)
    with broken.open("a") as file:
        file.write(f"\n{line}\n")
    run = lint(source, contract)
    assert run.returncode != 0
    assert "BROKEN" in run.stdout, run.stdout + run.stderr


def test_the_picture_of_the_rooms_is_up_to_date() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "scripts/draw_rooms.py", "--check"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
