import sys
from pathlib import Path

import psutil
import pytest

from swell.memory.machine import MachineMemory, machine_memory

MEMINFO = """\
MemTotal:       24684092 kB
MemFree:        21000000 kB
MemAvailable:   24293480 kB
Buffers:           12345 kB
"""


def test_reads_what_the_kernel_tells(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(MEMINFO)
    assert machine_memory(str(meminfo)) == MachineMemory(24684092 * 1024, 24293480 * 1024)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells this way on Linux only")
def test_agrees_with_psutil() -> None:
    memory, other = machine_memory(), psutil.virtual_memory()
    assert memory.total_bytes == other.total
    assert memory.available_bytes == pytest.approx(other.available, rel=0.1)


@pytest.mark.parametrize("content", [None, "", "MemTotal: 1 kB\n", "MemTotal: many kB\nMemAvailable: 1 kB\n"])
def test_asks_psutil_otherwise(tmp_path: Path, content: str | None) -> None:
    meminfo = tmp_path / "meminfo"
    if content is not None:
        meminfo.write_text(content)
    assert machine_memory(str(meminfo)).total_bytes == psutil.virtual_memory().total
