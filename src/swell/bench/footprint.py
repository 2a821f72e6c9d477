"""What the kernel says this process holds."""

import os
from pathlib import Path

import msgspec

_STATUS = Path("/proc/self/status")
_ROLLUP = Path("/proc/self/smaps_rollup")
_KIB = 1024  # "kB" in these files


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes backed by physical memory: all (RSS), not shared with any process (USS), in no file, and the most of the
    first there ever was.

    Weights are mapped from a file and read in when they are first computed with, so only `anonymous_bytes` tells what
    a cache takes.
    """

    resident_bytes: int
    unique_bytes: int
    anonymous_bytes: int
    peak_bytes: int


def footprint() -> Footprint:
    """This process now. Takes about a millisecond. Raises OSError on systems other than Linux."""
    status, rollup = _fields(_STATUS), _fields(_ROLLUP)
    return Footprint(
        resident_bytes=status["VmRSS"],
        unique_bytes=rollup["Private_Clean"] + rollup["Private_Dirty"],
        anonymous_bytes=status["RssAnon"],
        peak_bytes=status["VmHWM"],
    )


def _fields(path: Path) -> dict[str, int]:
    """The sizes in a file of `Name:   123 kB` lines, in bytes."""
    found: dict[str, int] = {}
    for line in os.fsdecode(path.read_bytes()).splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * _KIB
    return found
