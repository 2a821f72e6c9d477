"""Admission for a cache that lies on devices, wholly or in part."""

from collections.abc import Callable, Mapping

from swell.devices import DeviceMemory
from swell.memory.ledger import Ledger
from swell.memory.probe import FreeMemory


class DeviceAdmission:
    """Admits what the budget allows and what every place has room for.

    Devices don't overcommit: what is granted here may still fail there, in time and without harm. So the books are
    asked about the budget only, and the devices about what is free.
    """

    def __init__(
        self,
        ledger: Ledger,
        entry: int,
        host: FreeMemory,
        *,
        devices: Callable[[], Mapping[str, DeviceMemory]],
        shares: Mapping[str, float],
        budget_bytes: int | None,
        headroom_bytes: int,
        device_headroom_bytes: int,
    ) -> None:
        """`shares`: the part of every cell that lies on each device; the rest is in host memory."""
        self._ledger = ledger
        self._entry = entry
        self._host = host
        self._devices = devices
        self._shares = shares
        self._host_share = max(0.0, 1 - sum(shares.values()))
        self._budget_bytes = budget_bytes
        self._headroom_bytes = headroom_bytes
        self._device_headroom_bytes = device_headroom_bytes

    def claim(self, additional_bytes: int) -> int | None:
        spare = self.spare_bytes()
        if additional_bytes > spare:
            return spare
        if self._ledger.claim(self._entry, additional_bytes, self._budget_bytes):
            return None
        return self.spare_bytes()

    def spare_bytes(self) -> int:
        """The most that fits into every place in its share."""
        memory = self._devices()
        rooms = [
            (memory[name].free_bytes - self._device_headroom_bytes) / share for name, share in self._shares.items()
        ]
        if self._host_share > _ROUNDING:
            spare = self._ledger.spare_bytes(self._host.free_bytes) - self._headroom_bytes
            rooms.append(spare / self._host_share)
        if self._budget_bytes is not None:
            rooms.append(self._budget_bytes - self._ledger.total_granted_bytes())
        return max(0, int(min(rooms)))

    def release(self, released_bytes: int) -> None:
        self._ledger.release(self._entry, released_bytes)

    def note(self, backed_bytes: int, scratch_bytes: int) -> None:
        self._ledger.note_used(self._entry, backed_bytes)


_ROUNDING = 1e-6  # shares are quotients
