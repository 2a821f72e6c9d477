"""What Swell is for: all layers on a device that a window of fixed size would not leave room for."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.devices, pytest.mark.slow]

SCRIPT = Path(__file__).parents[2] / "scripts/show_growth_on_a_device.py"


def test_all_layers_are_on_a_small_device_and_the_window_is_filled() -> None:
    """The script counts in one answer, and checks layers, window and numbers itself."""
    run = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("growing") >= 3
