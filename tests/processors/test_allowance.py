from pathlib import Path

import pytest

from swell.cgroups import Hierarchy
from swell.processors.allowance import Allowance, Quota, affinity, physical_cores, quotas


def v2(directory: Path, text: str) -> Quota:
    directory.mkdir(exist_ok=True)
    (directory / "cpu.max").write_text(f"{text}\n")
    return Quota(Hierarchy.V2, directory)


def v1(directory: Path, quota: int, period: int = 100000) -> Quota:
    directory.mkdir(exist_ok=True)
    (directory / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (directory / "cpu.cfs_period_us").write_text(f"{period}\n")
    return Quota(Hierarchy.V1, directory)


@pytest.mark.parametrize(
    ("text", "processors"),
    [("max 100000", None), ("200000 100000", 2.0), ("50000 100000", 0.5), ("", None), ("1 0", None), ("x y", None)],
)
def test_a_v2_quota(tmp_path: Path, text: str, processors: float | None) -> None:
    assert v2(tmp_path, text).processors() == processors


@pytest.mark.parametrize(("quota", "processors"), [(-1, None), (200000, 2.0), (25000, 0.25)])
def test_a_v1_quota(tmp_path: Path, quota: int, processors: float | None) -> None:
    assert v1(tmp_path, quota).processors() == processors


def test_a_group_without_files_limits_nothing(tmp_path: Path) -> None:
    assert Quota(Hierarchy.V1, tmp_path).processors() is None


@pytest.mark.parametrize(
    ("limits", "threads"), [([], 32), ([2.0], 2), ([8.0, 2.0], 2), ([1.0], 1), ([0.5], 1), ([0.01], 1), ([2.5], 3)]
)
def test_the_least_of_all_groups_counts(tmp_path: Path, limits: list[float], threads: int) -> None:
    found = tuple(v1(tmp_path / str(at), int(limit * 100000)) for at, limit in enumerate(limits))
    usable = frozenset(range(5000, 5032))  # the kernel knows none of them, so each is a core
    assert Allowance(found, lambda: usable).threads() == threads


def test_two_threads_of_one_core_are_one() -> None:
    assert 1 <= physical_cores(affinity()) <= len(affinity())
    assert physical_cores(frozenset({5000, 5001})) == 2


def test_what_changes_meanwhile_is_seen(tmp_path: Path) -> None:
    group = v2(tmp_path, "max 100000")
    allowance = Allowance((group,), lambda: frozenset(range(5000, 5008)))
    assert allowance.threads() == 8
    v2(tmp_path, "100000 100000")
    assert allowance.threads() == 1


def test_groups_are_found_by_their_controller(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("4:memory:/m\n2:cpu,cpuacct:/a/b\n")
    (tmp_path / "proc/self/mountinfo").write_text(
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    )
    cpu = tmp_path / "sys/fs/cgroup/cpu"
    assert quotas(tmp_path) == tuple(Quota(Hierarchy.V1, one) for one in (cpu / "a/b", cpu / "a", cpu))
