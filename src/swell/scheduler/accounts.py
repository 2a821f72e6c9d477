"""The memory of the whole server: the books of its runners, the budget, and what the system says is free.

Beside the books lies the table in which runners say whether they compute; both have the same entries.
"""

import dataclasses
import logging
from collections.abc import Collection

from swell.errors import UnexpectedError
from swell.kv.memory_admission import MemoryAdmission
from swell.memory.device_ledger import DeviceLedger
from swell.memory.ledger import Entry, Ledger
from swell.memory.probe import FreeMemory
from swell.processors.shares import Demands
from swell.protocol.messages import DevicesFound
from swell.settings import Settings

log = logging.getLogger(__name__)

HEADROOM_MIN_BYTES = 16 << 20
"""More than a runner takes beside weights, cells and compute buffers once it works: in real control groups 4 MiB were
always enough for a small model, and 10 MiB for one with a vocabulary of 49,152."""

RUNNERS_MAX = 256
"""Entries of the ledger; far more than processes that fit on a machine."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LedgerAccess:
    """How a runner uses the books: descriptors that it inherits, its entry in both, and the limits for everyone."""

    ledger_fd: int
    devices_fd: int
    demands_fd: int
    entry: int
    budget_bytes: int | None
    headroom_bytes: int


class Accounts:
    """Hands out entries in the books and sums them up."""

    def __init__(self, settings: Settings, memory: FreeMemory) -> None:
        total_bytes = memory.total_bytes()
        self._memory = memory
        self._ledger = Ledger.create(RUNNERS_MAX)
        self._devices = DeviceLedger.create(RUNNERS_MAX)
        self._device_limits = settings.device_limits
        self._demands = Demands.create(RUNNERS_MAX)
        self._free_entries = list(range(RUNNERS_MAX))
        self._budget_bytes = settings.kv_budget.limit_bytes(total_bytes) if settings.kv_budget else None
        self._headroom_bytes = max(settings.kv_headroom.limit_bytes(total_bytes), HEADROOM_MIN_BYTES)
        self._admission = MemoryAdmission(
            self._ledger, 0, memory, budget_bytes=self._budget_bytes, headroom_bytes=self._headroom_bytes
        )

    def open(self) -> LedgerAccess:
        """An entry for a new runner."""
        return LedgerAccess(
            ledger_fd=self._ledger.fileno(),
            devices_fd=self._devices.fileno(),
            demands_fd=self._demands.fileno(),
            entry=self._free_entries.pop(),
            budget_bytes=self._budget_bytes,
            headroom_bytes=self._headroom_bytes,
        )

    def clear(self, access: LedgerAccess) -> None:
        """Clear the entry of a runner that has ended: what it was granted is free."""
        self._ledger.clear(access.entry)
        self._devices.clear(access.entry)
        self._demands.want(access.entry, 0)

    def give_back(self, access: LedgerAccess) -> None:
        """Clear the entry and let another runner have it."""
        self.clear(access)
        self._free_entries.append(access.entry)

    def limited(self, found: DevicesFound) -> DevicesFound:
        """What was `found`, with what the limits that are set leave of it. From now on runners can keep to those."""
        limits = self._device_limits
        known = [device.name for device in found.devices] + [missing.worker for missing in found.missing]
        if unknown := limits.unknown(known):
            log.warning("SWELL_DEVICE_MEMORY names %s; there is no such device", ", ".join(unknown))
        for device in found.devices:
            self._devices.open_page(device.name, limits.limit_bytes(device))
        return self.left_of(found)

    def left_of(self, found: DevicesFound) -> DevicesFound:
        """What limits and runners leave now of what was `found`."""
        taken = self._devices.all_taken_bytes
        left = [self._device_limits.limited(device, taken(device.name)) for device in found.devices]
        return DevicesFound(left, found.missing)

    def entry(self, access: LedgerAccess) -> Entry:
        """What a runner was promised, and what of it it has used."""
        return self._ledger.entry(access.entry)

    def device_bytes(self, access: LedgerAccess, device: str) -> int:
        """What a runner has taken of a device."""
        return self._devices.taken_bytes(device, access.entry)

    def all_device_bytes(self, device: str) -> int:
        """What all runners have."""
        return self._devices.all_taken_bytes(device)

    def booked_bytes(self, access: LedgerAccess) -> int:
        """What a runner was promised and what it has mapped."""
        booked = self._ledger.entry(access.entry)
        return booked.granted_bytes + booked.mapped_bytes

    def spare_bytes(self) -> int:
        """What caches could be promised now."""
        return self._admission.spare_bytes()

    def budget_allows(self, additional_bytes: int) -> bool:
        """Whether the budget allows caches so many more bytes; free memory isn't looked at."""
        if self._budget_bytes is None:
            return True
        return self._ledger.total_granted_bytes() + additional_bytes <= self._budget_bytes

    def free_for_load_bytes(self, loading_bytes: int) -> int:
        """What a new runner may take, where such that are being loaded will take `loading_bytes` more."""
        return self._ledger.spare_bytes(self._memory.free_bytes) - self._headroom_bytes - loading_bytes

    def check_integrity(self, in_use: Collection[LedgerAccess]) -> list[str]:
        """What is wrong with the books where `in_use` are those in use."""
        entries = [access.entry for access in in_use]
        faults = []
        if sorted(entries + self._free_entries) != list(range(RUNNERS_MAX)):
            faults.append(f"{len(entries)} entries are in use and {len(self._free_entries)} free, of {RUNNERS_MAX}")
        forgotten = [entry for entry in self._free_entries if self._ledger.entry(entry) != Entry(0, 0)]
        faults += [f"entry {entry} is nobody's and has a grant" for entry in forgotten]
        try:
            self._ledger.check()
        except UnexpectedError as error:
            faults.append(str(error))
        return faults

    def close(self) -> None:
        self._ledger.close()
        self._devices.close()
        self._demands.close()
