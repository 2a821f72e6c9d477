"""Real control groups, for tests under a limit of memory or processors."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from swell.cgroups import Hierarchy
from swell.memory.cgroup import own_groups
from swell.processors.allowance import Quota, quotas

LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")
USED_FILES = ("memory.current", "memory.usage_in_bytes")


@dataclasses.dataclass(frozen=True)
class Group:
    """A real control group."""

    directory: Path
    limit_path: Path
    used_path: Path

    def add(self, process_id: int) -> None:
        (self.directory / "cgroup.procs").write_text(str(process_id))

    def enter_with(self, limit_bytes: int) -> Callable[[], None]:
        """For `preexec_fn`: a program finds itself in the group, and the group limited, from the start."""
        self.limit_path.write_text(str(limit_bytes))
        return lambda: self.add(os.getpid())

    def leave_bytes(self, room_bytes: int) -> None:
        """Set the limit to what is used now and `room_bytes` more."""
        self.limit_path.write_text(str(int(self.used_path.read_text()) + room_bytes))

    def leave_free_bytes(self, room_bytes: int) -> None:
        """As `leave_bytes`, where page cache counts as free."""
        self.leave_bytes(room_bytes - self.stat("inactive_file") - self.stat("active_file"))

    def starve(self) -> None:
        """Leave nothing, not even for page cache, and want more: the kernel ends the largest process."""
        for room_bytes in itertools.count(0, 1 << 20):
            with suppress(OSError):  # v1 refuses a limit that it can't come to by dropping cache
                self.leave_free_bytes(room_bytes)
                break
        self._want(16 << 20)  # those in the group may have all they need, with the model's file in another one's cache

    def have_one_killed(self) -> None:
        """The kernel ends a process in this group, which has nothing to do with any other, for want of memory."""
        self.limit_path.write_text(str(_TINY_BYTES))
        assert self._want(1 << 28) == -signal.SIGKILL

    def _want(self, size_bytes: int) -> int:
        """The return code of a process in the group that takes so much memory, and ends."""
        with subprocess.Popen([sys.executable, "-c", _GLUTTON, str(size_bytes)], stdin=subprocess.PIPE) as glutton:
            self.add(glutton.pid)
            glutton.communicate(b"now")
        return glutton.returncode

    def stat(self, name: str) -> int:
        """A field of memory.stat, with the groups below, as v2 counts by itself."""
        fields = dict(line.split() for line in (self.directory / "memory.stat").read_text().splitlines())
        return int(fields.get(f"total_{name}") or fields[name])


@dataclasses.dataclass(frozen=True)
class ProcessorGroup:
    """A real control group whose processor time can be limited."""

    quota: Quota

    def limit(self, processors: float | None) -> None:
        """To so many processors' worth of time; None is no limit."""
        directory = self.quota.directory
        microseconds = None if processors is None else round(processors * _PERIOD_US)
        if self.quota.hierarchy is Hierarchy.V2:
            (directory / "cpu.max").write_text(f"{microseconds or 'max'} {_PERIOD_US}")
        else:
            (directory / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (directory / "cpu.cfs_quota_us").write_text(str(microseconds or -1))

    def enter(self) -> None:
        """For `preexec_fn`."""
        (self.quota.directory / "cgroup.procs").write_text(str(os.getpid()))

    def leave(self) -> None:
        """Back into the group above: one that isn't empty can't be removed."""
        (self.quota.directory.parent / "cgroup.procs").write_text(str(os.getpid()))


_PERIOD_US = 100_000
_TINY_BYTES = 8 << 20
_GLUTTON = "import sys; sys.stdin.read(); b'x' * int(sys.argv[1])"


@contextmanager
def new_processor_group() -> Iterator[ProcessorGroup]:
    """A group below the one the tests run in."""
    own = quotas()
    if not own:
        pytest.skip("there are no control groups for processors here")
    with _new_directory(own[0].directory) as directory:
        group = ProcessorGroup(Quota(own[0].hierarchy, directory))
        try:
            group.limit(None)
        except OSError as error:
            pytest.skip(f"the processor controller isn't delegated to groups made here: {error}")
        yield group


@contextmanager
def _new_directory(parent: Path) -> Iterator[Path]:
    directory = parent / f"swell-test-{time.monotonic_ns()}"
    try:
        directory.mkdir()
    except OSError as error:
        pytest.skip(f"control groups can't be made here: {error}")
    try:
        yield directory
    finally:
        _remove(directory)


@contextmanager
def new_group() -> Iterator[Group]:
    """A group below the one the tests run in, so that whatever limits those still holds."""
    own = own_groups()
    with _new_directory(Path(own[0].stat_path).parent if own else Path("/sys/fs/cgroup")) as directory:
        files = [next(filter(Path.exists, map(directory.joinpath, names)), None) for names in (LIMIT_FILES, USED_FILES)]
        limit_path, used_path = files
        if limit_path is None or used_path is None:
            pytest.skip("the memory controller isn't delegated to groups made here")
        yield Group(directory, limit_path, used_path)


def _remove(directory: Path) -> None:
    """The kernel may hold a group for a moment after its last process has ended."""
    for _ in range(100):
        try:
            directory.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            return
    directory.rmdir()
