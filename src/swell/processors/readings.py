"""What the kernel says about processors: how long threads of this process waited for one, and how long they were idle.

Sources: proc_pid_schedstat in the kernel's sched-stats.rst, and proc_stat(5).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from swell.files import read_once
from swell.processors.allowance import affinity

_TASKS = "/proc/self/task"
_STAT = "/proc/stat"
_NS = 1e-9
_SCHEDSTAT_FIELDS = 3  # time on a processor, time waiting for one, number of turns


@dataclass(frozen=True)
class Reading:
    """Sums since threads and machine were started: seconds that each thread waited, by its number, and seconds that
    the processors this process may use were idle, taken together.
    """

    waited_s: Mapping[int, float]
    idle_s: float


class Readings(Protocol):
    """Where readings come from."""

    def read(self) -> Reading | None:
        """The sums at this moment; None where the kernel doesn't tell."""


class KernelReadings:
    """The kernel's own counts, of all threads but the one with the number `ignored`, which doesn't compute."""

    def __init__(self, ignored: int | None = None) -> None:
        self._ignored = ignored
        self._tick_s = 1 / os.sysconf("SC_CLK_TCK")

    def read(self) -> Reading | None:
        """The sums at this moment; None where the kernel doesn't tell. Costs 0.1 ms with four threads."""
        idle_s = self._idle_s()
        waited_s = self._waited_s()
        return None if idle_s is None or waited_s is None else Reading(waited_s, idle_s)

    def _waited_s(self) -> dict[int, float] | None:
        try:
            threads = [int(name) for name in os.listdir(_TASKS)]
        except OSError:
            return None
        waited: dict[int, float] = {}
        for thread in threads:
            fields = read_once(f"{_TASKS}/{thread}/schedstat").split()
            if len(fields) == _SCHEDSTAT_FIELDS:  # otherwise it has ended
                waited[thread] = int(fields[1]) * _NS
        if not waited:
            return None
        waited.pop(self._ignored or 0, None)
        return waited

    def _idle_s(self) -> float | None:
        idle_ticks, found = 0, 0
        names = {b"cpu%d" % number for number in affinity()}
        for line in read_once(_STAT).split(b"\n"):
            name, *fields = line.split()[:6] or [b""]
            if name in names:
                found += 1
                idle_ticks += int(fields[3]) + int(fields[4])  # idle, and idle while a disk is waited for
        return idle_ticks * self._tick_s if found == len(names) else None
