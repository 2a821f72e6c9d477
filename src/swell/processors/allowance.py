"""The processors this process may use: its affinity, physical cores, and the quotas of its control groups.

Sources: sched_getaffinity(2), the kernel's cgroup-v2.rst and scheduler/sched-bwc.rst.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swell.cgroups import Hierarchy, directories
from swell.files import read_once

_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


@dataclass(frozen=True, slots=True)
class Quota:
    """Where the processor time of one control group is limited."""

    hierarchy: Hierarchy
    directory: Path

    def processors(self) -> float | None:
        """How many processors' worth of time the group may take; None if nothing limits it."""
        if self.hierarchy is Hierarchy.V2:
            quota, _, period = read_once(str(self.directory / "cpu.max")).partition(b" ")
        else:
            quota = read_once(str(self.directory / "cpu.cfs_quota_us"))
            period = read_once(str(self.directory / "cpu.cfs_period_us"))
        quota, period = quota.strip(), period.strip()
        if not quota.isdigit() or not period.isdigit() or int(period) == 0:  # "max", -1, or no such file
            return None
        return int(quota) / int(period)


def quotas(root: Path = Path("/")) -> tuple[Quota, ...]:
    """The quotas of all control groups this process is in. Find them once: it reads several files."""
    return tuple(Quota(hierarchy, directory) for directory, hierarchy in directories("cpu", root))


def affinity() -> frozenset[int]:
    """The numbers of the logical processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def physical_cores(processors: frozenset[int]) -> int:
    """How many physical cores these logical processors belong to; where the kernel doesn't tell, each counts as one."""
    return len({read_once(_SIBLINGS.format(number)) or number for number in processors})


class Allowance:
    """How many threads this process may use. Read anew at each call: quotas and affinity can change while it runs."""

    def __init__(self, found: tuple[Quota, ...] | None = None, usable: Callable[[], frozenset[int]] = affinity) -> None:
        self._quotas = quotas() if found is None else found
        self._usable = usable

    def threads(self) -> int:
        """How many threads it pays to compute with if nobody else wants to; at least one.

        One for each physical core, because a second one on the same core only gets in its way. A quota counts as the
        nearest whole number: with half a processor more, another thread that stands still for a part of the time is
        still a gain.
        """
        limits = [quota for group in self._quotas if (quota := group.processors()) is not None]
        whole = [int(limit + 0.5) for limit in limits]
        return max(1, min([physical_cores(self._usable()), *whole]))
