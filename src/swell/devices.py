"""Devices, and which layers of a model lie on them: what the planner, the protocol and the runner have in common."""

from enum import Enum

import msgspec


class DeviceKind(Enum):
    """Where a device is, which decides how dear it is to go back and forth."""

    WORKER = "worker"  # behind a network connection
    GPU = "gpu"
    INTEGRATED_GPU = "integrated gpu"  # takes its memory from the host's


class KvPlace(Enum):
    """Which memory holds K and V of the layers that are on devices."""

    DEVICE = "device"  # beside the layer's weights
    HOST = "host"


class ContextCells(Enum):
    """How many cells a context is created for if some of the cache is on devices, which reserve nothing."""

    WINDOW = "window"  # all that slots may reach: growth copies only what is on devices, but computing takes more there
    GRANTED = "granted"  # as many as are granted: growth copies everything


class Fill(Enum):
    """How many devices a model is given."""

    PACKED = "packed"  # as few as it fits on
    SPREAD = "spread"  # all, each in proportion to its room


class DeviceMemory(msgspec.Struct, frozen=True, kw_only=True):
    """A device that can take layers, and its memory as its driver reports it."""

    name: str
    kind: DeviceKind
    free_bytes: int
    total_bytes: int


def within(device: DeviceMemory, limit_bytes: int | None, taken_bytes: int) -> DeviceMemory:
    """`device` if only `limit_bytes` of it may be taken (None: all), of which `taken_bytes` are.

    There are drivers that say all is free, whatever is taken.
    """
    total_bytes = device.total_bytes if limit_bytes is None else min(device.total_bytes, limit_bytes)
    return msgspec.structs.replace(
        device, free_bytes=max(0, min(device.free_bytes, total_bytes - taken_bytes)), total_bytes=total_bytes
    )


class DeviceUse(msgspec.Struct, frozen=True, kw_only=True):
    """What one model takes on a device; `free_bytes` as last reported by its driver."""

    name: str
    kind: DeviceKind
    layers: int
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    free_bytes: int
    total_bytes: int

    @property
    def used_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes


class LayersOn(msgspec.Struct, frozen=True):
    """So many consecutive layers lie on `device`. The model's output counts as its last layer."""

    device: str
    layers: int


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """The model's last layers, in the order of `shares`; all layers before them are in host memory."""

    shares: tuple[LayersOn, ...] = ()
    kv: KvPlace = KvPlace.DEVICE
    cells: ContextCells = ContextCells.WINDOW

    @property
    def device_layers(self) -> int:
        """Layers on devices, the output included; 0: everything is in host memory."""
        return sum(share.layers for share in self.shares)

    def kv_shares(self, layers: int) -> dict[str, float]:
        """Which part of the cache lies on which device, for a model of `layers` layers, the output not counted.

        What is missing to 1 is in host memory.
        """
        if self.kv is KvPlace.HOST or not self.shares:
            return {}
        counts = [share.layers for share in self.shares]
        counts[-1] -= 1  # the output has no cache
        return {share.device: count / layers for share, count in zip(self.shares, counts, strict=True) if count}


HOST_ONLY = Placement()
