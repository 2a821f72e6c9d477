"""A runner never outlives its server.

A runner ends when its connection does. One that is stopped, or stuck in C, doesn't notice that, so on Linux the kernel
is asked to kill it, too.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_id: int) -> None:
    """Have the kernel kill this process when process `parent_id` ends; exit at once if that has ended. Linux only."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_id:  # it ended before the kernel was asked
            os._exit(1)
