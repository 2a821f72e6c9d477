"""Who computes last lets others compute first, and nobody else waits for that."""

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import os
from swell.priority import compute_last
from tests.test_priority import session_nice
compute_last()
print(os.nice(0), session_nice())
"""


def session_nice() -> str:
    """The nice value of this process's session, or "ungrouped" where the kernel has no group of its own for it.

    The file is missing where the kernel knows no such groups, and empty for a process whose session is as old as the
    machine.
    """
    try:
        words = Path("/proc/self/autogroup").read_text().split()
    except FileNotFoundError:
        words = []
    return words[-1] if words else "ungrouped"


def _priorities(*, own_session: bool) -> list[str]:
    """The nice values of a process that computes last, and of its session."""
    command = (sys.executable, "-c", _SCRIPT)
    done = subprocess.run(command, start_new_session=own_session, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_process_with_a_session_of_its_own() -> None:
    assert _priorities(own_session=True) in (["19", "19"], ["19", "ungrouped"])


def test_others_of_a_session_go_on_as_before() -> None:
    before = session_nice()
    assert _priorities(own_session=False) == ["19", before]
    assert session_nice() == before
