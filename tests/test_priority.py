"""Who computes last lets others compute first, and nobody else waits for that."""

import subprocess
import sys
from pathlib import Path

_GROUP = Path("/proc/self/autogroup")
_SCRIPT = """
import os, pathlib
from swell.priority import compute_last
compute_last()
group = pathlib.Path("/proc/self/autogroup")
print(os.nice(0), group.read_text().split()[-1] if group.exists() else "ungrouped")
"""


def _priorities(*, own_session: bool) -> list[str]:
    """The nice values of a process that computes last, and of its session."""
    command = (sys.executable, "-c", _SCRIPT)
    done = subprocess.run(command, start_new_session=own_session, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_process_with_a_session_of_its_own() -> None:
    assert _priorities(own_session=True) == ["19", "19" if _GROUP.exists() else "ungrouped"]


def test_others_of_a_session_go_on_as_before() -> None:
    before = _session()
    assert _priorities(own_session=False) == ["19", before]
    assert _session() == before


def _session() -> str:
    return _GROUP.read_text().split()[-1] if _GROUP.exists() else "ungrouped"
