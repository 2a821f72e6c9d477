"""Measures the machine: processors, memory, and devices on its bus.

Sources: the kernel's sysctl/vm.rst, proc_meminfo(5), and the classes and makers of the PCI ID repository.
"""

import os
import resource
from collections.abc import Mapping
from pathlib import Path

from swell.doctor.facts import (
    Accelerator,
    GroupLimit,
    HardwareFacts,
    MemoryFacts,
    Overcommit,
    ProcessorFacts,
    Vendor,
)
from swell.memory.cgroup import own_groups
from swell.memory.machine import machine_memory
from swell.memory.probe import MemoryProbe
from swell.processors.allowance import Allowance, affinity, physical_cores, quotas

_KIB = 1024  # "kB" in /proc/meminfo
_OVERCOMMIT = {"0": Overcommit.HEURISTIC, "1": Overcommit.ALWAYS, "2": Overcommit.NEVER}
_DISPLAY_CLASS = "0x03"  # the first byte of a device's class: displays, and computing devices without one
_VENDORS = {"0x10de": Vendor.NVIDIA, "0x1002": Vendor.AMD, "0x8086": Vendor.INTEL}
_NODES = {
    Vendor.NVIDIA: ("dev/nvidiactl", "dev/dxg"),
    Vendor.AMD: ("dev/kfd", "dev/dri/renderD128", "dev/dxg"),
    Vendor.INTEL: ("dev/dri/renderD128", "dev/dxg"),
}
"""Files through which programs reach a maker's devices; dxg is what Windows shows to its Linux."""
_HIDING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GGML_VK_VISIBLE_DEVICES")


def processor_facts(root: Path = Path("/")) -> ProcessorFacts:
    """The processors now."""
    found = quotas(root)
    limits = [limit for quota in found if (limit := quota.processors()) is not None]
    allowed = affinity()
    return ProcessorFacts(
        name=_fields(root / "proc/cpuinfo").get("model name", ""),
        logical=os.cpu_count() or 1,
        allowed=len(allowed),
        cores=physical_cores(allowed),
        quota=min(limits, default=None),
        threads=Allowance(found).threads(),
    )


def memory_facts(root: Path = Path("/")) -> MemoryFacts:
    """The memory now."""
    groups, machine = own_groups(), machine_memory()
    probe = MemoryProbe(groups)
    meminfo = _fields(root / "proc/meminfo")
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    limiting = [memory for group in groups if (memory := group.read())]
    return MemoryFacts(
        machine_total_bytes=machine.total_bytes,
        machine_available_bytes=machine.available_bytes,
        total_bytes=probe.total_bytes(),
        free_bytes=probe.free_bytes(),
        groups=[GroupLimit(limit_bytes=memory.limit_bytes, free_bytes=memory.free_bytes) for memory in limiting],
        swap_total_bytes=_bytes(meminfo.get("SwapTotal")),
        swap_free_bytes=_bytes(meminfo.get("SwapFree")),
        overcommit=_OVERCOMMIT.get(_text(root / "proc/sys/vm/overcommit_memory").strip(), Overcommit.UNKNOWN),
        commit_free_bytes=max(0, _bytes(meminfo.get("CommitLimit")) - _bytes(meminfo.get("Committed_AS"))),
        address_space_bytes=None if limit == resource.RLIM_INFINITY else limit,
        huge_pages=_chosen(_text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
    )


def hardware_facts(environment: Mapping[str, str], root: Path = Path("/")) -> HardwareFacts:
    """Devices on the bus, in the file system below `root`. In a container those of the whole machine may be seen."""
    accelerators = []
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor = _VENDORS.get(_text(device / "vendor").strip())
        if vendor and _text(device / "class").startswith(_DISPLAY_CLASS):
            driver = device / "driver"
            name = driver.resolve().name if driver.exists() else ""
            accelerators.append(Accelerator(address=device.name, vendor=vendor, driver=name))
    return HardwareFacts(
        accelerators=accelerators,
        reachable=[vendor for vendor, nodes in _NODES.items() if any((root / node).exists() for node in nodes)],
        hidden_by=[f"{name}={environment[name]}" for name in _HIDING if name in environment],
    )


def _fields(path: Path) -> dict[str, str]:
    """A file of lines `name: value`; the first of a name counts."""
    found: dict[str, str] = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found


def _bytes(field: str | None) -> int:
    number = (field or "").partition(" ")[0]
    return int(number) * _KIB if number.isdigit() else 0


def _chosen(text: str) -> str:
    """The word in brackets: `always [madvise] never`."""
    return text.partition("[")[2].partition("]")[0]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
