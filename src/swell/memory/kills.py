"""How often the kernel has ended a process for want of memory, as near to this process as it tells.

Sources: the kernel's cgroup-v2.rst (`memory.events.local`) and cgroup-v1/memory.rst (`memory.oom_control`), where
`oom_kill` is "the number of processes belonging to this cgroup killed by any kind of OOM killer"; proc_vmstat(5).
"""

from collections.abc import Iterator
from pathlib import Path

from swell.cgroups import Hierarchy, directories
from swell.files import read_once

# memory.events counts the groups below as well; kernels before 5.2 have no other
_FILES = {Hierarchy.V1: ("memory.oom_control",), Hierarchy.V2: ("memory.events.local", "memory.events")}


class KillCounter:
    """Counts kills in the group that this process is in when it is made, as its children are, whoever's limit was met.

    In the whole machine where no group tells, such as v2's root; none where nothing does.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        """`root` is where the file system begins, which is / but in tests."""
        self._path = next((path for path in map(str, _counters(root)) if _kills(path) is not None), None)

    def now(self) -> int:
        """How many there were until now. Costs 7 µs."""
        return 0 if self._path is None else _kills(self._path) or 0


def _counters(root: Path) -> Iterator[Path]:
    seen: set[Hierarchy] = set()
    for directory, hierarchy in directories("memory", root):
        if hierarchy not in seen:  # the first is its own; those above have other programs in them
            yield from (directory / name for name in _FILES[hierarchy])
        seen.add(hierarchy)
    yield root / "proc/vmstat"


def _kills(path: str) -> int | None:
    _, found, rest = (b"\n" + read_once(path)).partition(b"\noom_kill ")
    number = rest.partition(b"\n")[0]
    return int(number) if found and number.isdigit() else None
