"""What a result was measured with: versions and machine, without anything that names the machine."""

import importlib.metadata
import os
import platform
from pathlib import Path

import msgspec

from swell.memory.machine import machine_memory
from swell.processors.allowance import affinity
from swell.version import __version__

_CPUINFO = Path("/proc/cpuinfo")
_HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_PACKAGES = ("llama-cpp-python", "xllamacpp")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """`load` is the average number of processes that wanted to run in the last minute, before measuring began."""

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    huge_pages: str
    load: float

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} cores, {self.memory_bytes / 1e9:.1f} GB, {self.kernel}, load {self.load}"


def machine() -> Machine:
    """Raises OSError on systems other than Linux."""
    return Machine(
        cpu=_cpu_name(),
        cores=len(affinity()),
        memory_bytes=machine_memory().total_bytes,
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        huge_pages=_HUGE_PAGES.read_text().strip() if _HUGE_PAGES.exists() else "",
        load=round(os.getloadavg()[0], 2),
    )


def versions() -> dict[str, str]:
    """Of what is measured; a package that isn't installed is left out."""
    found = {"swell": __version__}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    for line in _CPUINFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor()
