"""What may be said of the memory of devices, and what it leaves of one."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.devices import DeviceKind, DeviceMemory
from swell.memory.device_limits import DeviceLimits, parse_device_limits
from swell.settings import Settings

BYTES = st.integers(0, 10**12)


def device(name: str = "Vulkan0", free: int = 6_000, total: int = 10_000) -> DeviceMemory:
    return DeviceMemory(name=name, kind=DeviceKind.GPU, free_bytes=free, total_bytes=total)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("", {"Vulkan0": None, "CUDA1": None}),
        ("4kB", {"Vulkan0": 4_000, "CUDA1": 4_000}),
        ("50%", {"Vulkan0": 5_000, "CUDA1": 5_000}),
        ("Vulkan0=4kB, CUDA1=50%", {"Vulkan0": 4_000, "CUDA1": 5_000, "CUDA2": None}),
        ("Vulkan0 = 4kB,25%", {"Vulkan0": 4_000, "CUDA1": 2_500}),
        ("10.0.0.1:50052#1=1KiB", {"10.0.0.1:50052#1": 1_024, "10.0.0.1:50052": None}),
    ],
)
def test_each_device_has_the_limit_that_is_said_of_it(text: str, limits: dict[str, int | None]) -> None:
    parsed = parse_device_limits(text)
    assert {name: parsed.limit_bytes(device(name)) for name in limits} == limits


@pytest.mark.parametrize(
    "text", ["4 GB free", "Vulkan0=", "=4GB", "Vulkan0=0", "101%", "4GB,5GB", "a=1GB,a=2GB", ",", "a=1GB,", "Vulkan0"]
)
def test_anything_else_is_refused_with_a_reason(text: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match=r"is neither bytes|names no device|two limits for|is less than|is not more"):
        parse_device_limits(text)
    with caplog.at_level(logging.WARNING):
        assert Settings.from_environment({"SWELL_DEVICE_MEMORY": text}).device_limits == DeviceLimits()
    assert "ignoring SWELL_DEVICE_MEMORY" in caplog.text


def test_names_that_no_device_has_are_found() -> None:
    limits = parse_device_limits("Vulkan0=1GB,Vulcan1=1GB,2GB")
    assert limits.unknown(["Vulkan0", "Vulkan1"]) == ["Vulcan1"]


@given(free=BYTES, total=BYTES, taken=BYTES, limit=st.one_of(st.none(), st.integers(1, 10**12)))
def test_no_more_is_left_than_the_driver_the_limit_and_what_is_taken_leave(
    free: int, total: int, taken: int, limit: int | None
) -> None:
    found = device(free=min(free, total), total=total)
    limits = parse_device_limits("" if limit is None else str(limit))
    left = limits.limited(found, taken)
    assert 0 <= left.free_bytes <= found.free_bytes
    assert left.total_bytes == (total if limit is None else min(total, limit))
    assert left.free_bytes == max(0, min(found.free_bytes, left.total_bytes - taken))
