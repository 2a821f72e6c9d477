"""Work that must not take a processor from answers that are being computed."""

import contextlib
import os


def compute_last() -> None:
    """Have the kernel give this process only the processors that nobody else wants.

    Nice values count within a session only where the kernel groups by sessions (sched_autogroup), so the session's own
    is set, too, if the process has one for itself: all others in it would have to wait as well.
    """
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as group:
            group.write("19")
    os.nice(19)
