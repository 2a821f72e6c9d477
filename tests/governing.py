"""A governor for tests that have no server."""

from swell.processors.governor import Governor
from swell.processors.shares import Demands


def fixed(threads: int) -> Governor:
    """One that always says `threads`."""
    return Governor(Demands.create(1), 0, exact=threads)
