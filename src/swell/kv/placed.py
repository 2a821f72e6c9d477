"""Admission for a cache that lies on devices, wholly or in part."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from swell.devices import DeviceMemory
from swell.kv.admission import NOWHERE, Refusal
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
    ledger is asked about host memory and the budget, and the devices about what is free.
    """

    def __init__(
        self,
        ledger: Ledger,
        entry: int,
        host: FreeMemory,
        *,
        devices: Callable[[], Mapping[str, DeviceMemory]],
        limits: AdmissionLimits,
    ) -> None:
        """`devices` measures those on which anything may lie."""
        self._ledger = ledger
        self._entry = entry
        self._host = host
        self._devices = devices
        self._limits = limits
        self._scratch_bytes = 0

    @property
    def granted_bytes(self) -> int:
        return self._ledger.entry(self._entry).cache_bytes

    def claim(self, additional_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> Refusal | None:
        on_devices = sum(device_bytes.values())
        refusal = self._refusal(additional_bytes, device_bytes)
        if refusal is None and not self._ledger.claim(
            self._entry,
            additional_bytes - on_devices,
            self._limits.budget_bytes,
            self._promisable_bytes,
            on_devices,
        ):
            refusal = self._refusal(additional_bytes, device_bytes) or Refusal(0)  # somebody else was faster
        return refusal

    def release(self, released_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> None:
        on_devices = sum(device_bytes.values())
        self._ledger.release(self._entry, released_bytes - on_devices, on_devices)

    def note(self, backed_bytes: int, scratch_bytes: int) -> None:
        self._ledger.note_used(self._entry, backed_bytes)
        self._scratch_bytes = scratch_bytes

    def _refusal(self, additional_bytes: int, device_bytes: Mapping[str, int]) -> Refusal | None:
        """Where there is least room for what is needed there, if it isn't enough; None where it is.

        What of the whole could be granted is then the same part of it.
        """
        least, where = 1.0, ""
        for place, needed_bytes, room_bytes in self._rooms(additional_bytes, device_bytes):
            if needed_bytes > max(0, room_bytes) and (part := max(0, room_bytes) / needed_bytes) < least:
                least, where = part, place
        return None if least == 1.0 else Refusal(int(additional_bytes * least), where)

    def _rooms(self, additional_bytes: int, device_bytes: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
        """Of each place its name, what is needed there, and what there is."""
        memory = self._devices() if device_bytes else {}
        for name, needed_bytes in device_bytes.items():
            yield name, needed_bytes, memory[name].free_bytes - self._limits.device_headroom_bytes
        if host_bytes := additional_bytes - sum(device_bytes.values()):
            yield "", host_bytes, self._ledger.spare_bytes(self._promisable_bytes)
        if self._limits.budget_bytes is not None:
            yield "", additional_bytes, self._limits.budget_bytes - self._ledger.total_granted_bytes()

    def _promisable_bytes(self) -> int:
        return self._host.free_bytes() - self._limits.headroom_bytes - self._scratch_bytes
