"""The memory limits of the control groups this process is in.

Sources: the kernel's cgroup-v2.rst and cgroup-v1/memory.rst.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from swell.cgroups import Hierarchy, directories
from swell.files import read_once

_NO_LIMIT_BYTES = 1 << 62  # v1 says "none" as 2^63 rounded down to a page


@dataclass(frozen=True)
class GroupMemory:
    """What one limiting group has; `cached_bytes` of the used ones are page cache."""

    limit_bytes: int
    used_bytes: int
    cached_bytes: int

    @property
    def free_bytes(self) -> int:
        """What the group can take if it keeps no page cache at all."""
        return max(0, self.limit_bytes - self.used_bytes + self.cached_bytes)


class _Names(NamedTuple):
    limit_names: tuple[str, ...]
    used_name: str
    cached_fields: tuple[bytes, ...]


# above memory.high the kernel slows the group down until it is no use, so that is a limit as well
_NAMES = {
    Hierarchy.V1: _Names(
        ("memory.limit_in_bytes",), "memory.usage_in_bytes", (b"total_inactive_file", b"total_active_file")
    ),
    Hierarchy.V2: _Names(("memory.max", "memory.high"), "memory.current", (b"inactive_file", b"active_file")),
}


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """Where the numbers of one group are read."""

    limit_paths: tuple[str, ...]
    used_path: str
    stat_path: str
    cached_fields: tuple[bytes, ...]

    def read(self) -> GroupMemory | None:
        """The numbers now; None if nothing limits the group, or nothing tells. Costs 40 µs, 11 µs without a limit.

        Measured on v1. A use that can't be read counts as none, because the limit holds all the same.
        """
        limits = [limit for path in self.limit_paths if (limit := _number(path)) is not None]
        limit_bytes = min(limits, default=_NO_LIMIT_BYTES)
        if limit_bytes >= _NO_LIMIT_BYTES:
            return None
        stat = read_once(self.stat_path)
        cached_bytes = sum(_field(stat, name) for name in self.cached_fields)
        return GroupMemory(limit_bytes, _number(self.used_path) or 0, cached_bytes)


def own_groups() -> tuple[MemoryGroup, ...]:
    """The groups this process is in now that can have a memory limit, its own first. Find them once, read them often.

    None where there are no control groups. Costs 0.3 ms.
    """
    return find_groups(Path("/"))


def find_groups(root: Path) -> tuple[MemoryGroup, ...]:
    """As `own_groups`, in the file system below `root`."""
    groups = (_group(directory, _NAMES[hierarchy]) for directory, hierarchy in directories("memory", root))
    return tuple(group for group in groups if any(os.access(path, os.R_OK) for path in group.limit_paths))


def _group(directory: Path, names: _Names) -> MemoryGroup:
    return MemoryGroup(
        tuple(str(directory / name) for name in names.limit_names),
        str(directory / names.used_name),
        str(directory / "memory.stat"),
        names.cached_fields,
    )


def _number(path: str) -> int | None:
    content = read_once(path).strip()
    return int(content) if content.isdigit() else None


def _field(stat: bytes, name: bytes) -> int:
    _, found, rest = (b"\n" + stat).partition(b"\n" + name + b" ")
    return int(rest.partition(b"\n")[0]) if found else 0
