import subprocess
import sys
from pathlib import Path

import pytest
from tests.control_group import new_group

from swell.memory.cgroup import MemoryGroup
from swell.memory.machine import MachineMemory
from swell.memory.probe import FreeMemory, MemoryProbe

MB = 1_000_000
LIMIT_BYTES = 256 << 20
WRITTEN_BYTES = 64 << 20
# started by its parent in a group, it says what it sees, takes memory, and says it again; it ends with its parent
PROGRAM = f"""
import sys
sys.stdin.readline()
from swell.memory.probe import MemoryProbe
probe = MemoryProbe()
print(probe.total_bytes(), probe.free_bytes(), flush=True)
block = bytearray({WRITTEN_BYTES})
block[::4096] = b"x" * (len(block) // 4096)
print(probe.total_bytes(), probe.free_bytes(), flush=True)
sys.stdin.readline()
"""


def machine() -> MachineMemory:
    return MachineMemory(total_bytes=1000 * MB, available_bytes=600 * MB)


def group(directory: Path, limit: object, used_bytes: int) -> MemoryGroup:
    directory.mkdir()
    (directory / "max").write_text(f"{limit}\n")
    (directory / "current").write_text(f"{used_bytes}\n")
    (directory / "stat").write_text("inactive_file 0\nactive_file 1000000\n")
    paths = [str(directory / name) for name in ("max", "current", "stat")]
    return MemoryGroup((paths[0],), paths[1], paths[2], (b"inactive_file", b"active_file"))


def test_without_groups_it_is_the_machine() -> None:
    probe: FreeMemory = MemoryProbe((), machine)
    assert (probe.free_bytes(), probe.total_bytes()) == (600 * MB, 1000 * MB)


def test_the_least_of_all_holds(tmp_path: Path) -> None:
    groups = [
        group(tmp_path / "tight", 500 * MB, 100 * MB),
        group(tmp_path / "full", 900 * MB, 800 * MB),
        group(tmp_path / "open", "max", 900 * MB),
    ]
    probe = MemoryProbe(groups, machine)
    assert (probe.free_bytes(), probe.total_bytes()) == (101 * MB, 500 * MB)


def test_a_limit_above_the_machine_limits_nothing(tmp_path: Path) -> None:
    probe = MemoryProbe([group(tmp_path / "wide", 5000 * MB, 0)], machine)
    assert (probe.free_bytes(), probe.total_bytes()) == (600 * MB, 1000 * MB)


def test_the_real_machine_has_memory() -> None:
    probe = MemoryProbe()
    assert 0 < probe.free_bytes() <= probe.total_bytes()


@pytest.mark.destructive
def test_a_real_limit_is_seen() -> None:
    with (
        new_group() as limited,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert process.stdin
            assert process.stdout
            limited.limit_path.write_text(str(LIMIT_BYTES))
            limited.add(process.pid)
            process.stdin.write("\n")
            process.stdin.flush()
            total_bytes, free_bytes = map(int, process.stdout.readline().split())
            total_later_bytes, free_later_bytes = map(int, process.stdout.readline().split())
        finally:
            process.kill()
    assert total_bytes == total_later_bytes == LIMIT_BYTES
    assert LIMIT_BYTES * 0.8 < free_bytes <= LIMIT_BYTES
    assert free_bytes - free_later_bytes == pytest.approx(WRITTEN_BYTES, rel=0.1)
