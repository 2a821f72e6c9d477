"""Who has no fleet has nothing of one: no import, and a command that says what it needs."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["swell.serve", "swell.cli.main", "swell.runner.service"])
def test_nothing_of_a_fleet_is_imported(module: str) -> None:
    program = f"import sys, {module}; print([name for name in sys.modules if name.startswith(('ray', 'swell.fleet'))])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_command_says_that_it_needs_ray() -> None:
    program = "import sys; sys.modules['ray'] = None; from swell.cli.main import main; sys.exit(main())"
    run = subprocess.run([sys.executable, "-c", program, "fleet"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "pip install 'swell[fleet]'" in run.stderr


def test_bounds_must_be_in_order() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "swell", "fleet", "--min", "3", "--max", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "--min is more than --max" in run.stderr
