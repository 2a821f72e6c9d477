"""Vulkan devices of Mesa's driver that computes on the processor: real ones for llama.cpp, with memory of their own.

The driver tells nobody what a process has, so that Swell must count.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swell.llama import layout, library, logs
from swell.llama.devices import Device, local_devices
from swell.memory.device_ledger import DeviceLedger

VISIBLE = "GGML_VK_VISIBLE_DEVICES"
"""Which of Vulkan's devices a process of llama.cpp uses, by their numbers, each of them as often as it is named.

It passes over processors unless they are named.
"""
NEWER_DRIVER = Path.home() / ".cache/swell/vulkan/driver.json"
"""What scripts/prepare_vulkan has got where the system's driver is too old."""
ONE, TWO = {VISIBLE: "0"}, {VISIBLE: "0,0"}
"""What to set for a server that is to have one such device, or two."""
_GIVEN = "/memfd:allocation fd"
"""Where the driver takes the memory from that it gives, since Mesa 24."""


def given_by_driver_bytes(process_id: int) -> int:
    """What the driver has given a process, as the kernel counts it."""
    lines = Path(f"/proc/{process_id}/maps").read_text().splitlines()
    ranges = [line.split(maxsplit=1)[0].split("-") for line in lines if _GIVEN in line]
    return sum(int(end, 16) - int(start, 16) for start, end in ranges)


@pytest.fixture(scope="session", autouse=True)
def two_vulkan_devices() -> Iterator[None]:
    """Servers and workers that are started have them only if their settings say so.

    What the driver compiles, for a minute, is kept where the next run finds it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESA_SHADER_CACHE_DIR", str(Path.home() / ".cache/swell/shaders"))
        if NEWER_DRIVER.exists():
            patch.setenv("VK_DRIVER_FILES", str(NEWER_DRIVER))
        with patch.context() as while_it_starts:
            while_it_starts.setenv(VISIBLE, TWO[VISIBLE])
            library.start()
        assert VISIBLE not in os.environ
        yield


@pytest.fixture(scope="session")
def vulkan_devices() -> tuple[Device, Device]:
    """Both, counted as a runner counts them."""
    logs.route()
    layout.check()
    first, second = local_devices()
    ledger = DeviceLedger.create(1)
    counted = []
    for device in (first, second):
        ledger.open_page(device.name, None)
        counted.append(device.governed(ledger.account(device.name, 0)))
    return counted[0], counted[1]
