"""`SWELL_DEVICE_MEMORY`: how much of each device's memory all models together may take."""

from collections.abc import Sequence
from dataclasses import dataclass

from swell.devices import DeviceMemory, within
from swell.memory.budget import Budget, parse_budget


@dataclass(frozen=True)
class DeviceLimits:
    """The limits of devices that are `named`, and that of all `others`; None is no limit."""

    named: tuple[tuple[str, Budget], ...] = ()
    others: Budget | None = None

    def limit_bytes(self, device: DeviceMemory) -> int | None:
        """How much of `device` may be taken; None for no limit."""
        limit = dict(self.named).get(device.name, self.others)
        return None if limit is None else limit.limit_bytes(device.total_bytes)

    def limited(self, device: DeviceMemory, taken_bytes: int = 0) -> DeviceMemory:
        """`device` as it is for models that have taken `taken_bytes` of it."""
        return within(device, self.limit_bytes(device), taken_bytes)

    def unknown(self, devices: Sequence[str]) -> list[str]:
        """The names that none of `devices` has."""
        return [name for name, _ in self.named if name not in devices]


def parse_device_limits(text: str) -> DeviceLimits:
    """Limits from `4GB`, `50%`, `Vulkan0=4GB,CUDA1=50%`, or `Vulkan0=4GB,8GB`, where the last one is for all others.

    Raises ValueError for what is no amount, and for two limits of one device.
    """
    named: dict[str, Budget] = {}
    others: Budget | None = None
    for item in text.split(",") if text else ():
        name, separator, amount = item.rpartition("=")
        name, limit = name.strip(), parse_budget(amount)
        if separator and not name:
            raise ValueError(f'"{item.strip()}" names no device')
        if name in named or (not separator and others is not None):
            raise ValueError(f"there are two limits for {name or 'all devices'}")
        if separator:
            named[name] = limit
        else:
            others = limit
    return DeviceLimits(tuple(named.items()), others)
