"""The tie between a runner and its server: a runner never outlives it.

The connection's end is what a runner notices first. A runner that is stopped or stuck in C notices nothing, so on Linux
the kernel is asked to kill it, too.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_id: int) -> None:
    """Have the kernel kill this process when `parent_id` ends; exit at once if it is gone already."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_id:  # it ended before the kernel was asked
            os._exit(1)
