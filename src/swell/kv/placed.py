"""Admission for a cache that lies on devices, wholly or in part."""

import dataclasses
from collections.abc import Callable, Mapping

from swell.devices import DeviceMemory
from swell.memory.ledger import Ledger
from swell.memory.probe import FreeMemory


@dataclasses.dataclass(frozen=True, kw_only=True)
class AdmissionLimits:
    """How much all caches together may take (None: no limit), and what must stay free in host memory and per device."""

    budget_bytes: int | None
    headroom_bytes: int
    device_headroom_bytes: int


class DeviceAdmission:
    """Admits what the budget allows and what every place has room for.

    Devices don't overcommit: an allocation that was granted here can still fail there, and then nothing is lost. So the
    ledger is asked about the budget only, and the devices about what is free.
    """

    def __init__(
        self,
        ledger: Ledger,
        entry: int,
        host: FreeMemory,
        *,
        devices: Callable[[], Mapping[str, DeviceMemory]],
        shares: Mapping[str, float],
        limits: AdmissionLimits,
    ) -> None:
        """`shares`: the part of every cell that lies on each device, 0 to 1; the rest is in host memory."""
        self._ledger = ledger
        self._entry = entry
        self._host = host
        self._devices = devices
        self._shares = shares
        self._host_share = max(0.0, 1 - sum(shares.values()))
        self._limits = limits

    @property
    def granted_bytes(self) -> int:
        return self._ledger.entry(self._entry).granted_bytes

    def claim(self, additional_bytes: int) -> int | None:
        spare = self.spare_bytes()
        if additional_bytes > spare:
            return spare
        if self._ledger.claim(self._entry, additional_bytes, self._limits.budget_bytes):
            return None
        return self.spare_bytes()

    def spare_bytes(self) -> int:
        """The most of which every place has room for its share."""
        memory, limits = self._devices(), self._limits
        rooms = [
            (memory[name].free_bytes - limits.device_headroom_bytes) / share for name, share in self._shares.items()
        ]
        if self._host_share > _ROUNDING:
            spare = self._ledger.spare_bytes(self._host.free_bytes) - limits.headroom_bytes
            rooms.append(spare / self._host_share)
        if limits.budget_bytes is not None:
            rooms.append(limits.budget_bytes - self._ledger.total_granted_bytes())
        return max(0, int(min(rooms)))

    def release(self, released_bytes: int) -> None:
        self._ledger.release(self._entry, released_bytes)

    def note(self, backed_bytes: int, scratch_bytes: int) -> None:
        self._ledger.note_used(self._entry, backed_bytes)


_ROUNDING = 1e-6  # shares are quotients
