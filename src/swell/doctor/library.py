"""What llama.cpp is and can do, found out by a process of its own: it may be missing, or end the process."""

import subprocess
import sys

import msgspec

from swell.doctor.facts import LibraryFacts, LibraryFailure

_REASON_LINES = 4
_TIMEOUT_S = 120


def library_facts() -> LibraryFacts | LibraryFailure:
    """Asks a process, which takes half a second; one that hangs is ended after two minutes."""
    # -P: a directory called `swell` where the user happens to be must not be taken for the package
    command = [sys.executable, "-P", "-m", "swell.doctor.library_check"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT_S)
        return msgspec.json.decode(done.stdout, type=LibraryFacts)
    except subprocess.TimeoutExpired:
        return LibraryFailure(exit_code=0, reason=f"it gave no answer within {_TIMEOUT_S} s")
    except msgspec.DecodeError:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()[-_REASON_LINES:]
        return LibraryFailure(exit_code=done.returncode, reason="\n".join(lines))
