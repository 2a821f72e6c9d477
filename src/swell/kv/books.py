"""The books of a store: the cells of each slot, and what was asked of admission for them. Imports no llama.cpp."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from swell.errors import KvGrowError
from swell.kv.admission import NOWHERE, Admission
from swell.kv.cells import ANYWHERE, Cut, SlotCells

_LOOKS = 3
"""How often numbers that don't agree are read again, if they were being changed meanwhile."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoRoom:
    """Memory was refused: `needed_bytes` were asked for, and `free_bytes` could have been granted. It is a device that
    has no room for more, or, where that is "", host memory or the budget.

    `cause` is there where admission granted it, and the memory couldn't be had all the same.
    """

    needed_bytes: int
    free_bytes: int
    device: str = ""
    cause: Exception | None = None

    @property
    def missing_bytes(self) -> int:
        """How much more would have to be free."""
        return self.needed_bytes - self.free_bytes

    def error(self, from_cells: int, to_cells: int, max_cells: int) -> KvGrowError:
        """The same for those who use the store: a slot couldn't grow from one number of cells to another."""
        error = KvGrowError(
            from_cells=from_cells,
            to_cells=to_cells,
            max_cells=max_cells,
            needed_bytes=self.needed_bytes,
            free_bytes=self.free_bytes,
            device=self.device,
        )
        error.__cause__ = self.cause
        return error


class Books:
    """One thread changes them; `check_integrity` may be called from any."""

    def __init__(self, slots: int, admission: Admission, cut: Cut = ANYWHERE) -> None:
        self.admission = admission
        self.cells = [SlotCells(cut=cut) for _ in range(slots)]
        self.claimed_bytes = 0
        """What admission has granted, less what was given back."""
        self.device_bytes = Counter[str]()
        """What of it is on each device."""
        self.changes = 0
        """How many changes were begun."""
        self._unfinished = 0
        """How many of them haven't ended: they may contain each other."""

    def claim(self, additional_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> NoRoom | None:
        """Ask admission for `additional_bytes`, with `device_bytes` of them on devices; None where they are granted."""
        refusal = self.admission.claim(additional_bytes, device_bytes)
        if refusal is not None:
            return NoRoom(needed_bytes=additional_bytes, free_bytes=refusal.free_bytes, device=refusal.device)
        self.claimed_bytes += additional_bytes
        self.device_bytes.update(device_bytes)
        return None

    def release(self, released_bytes: int, device_bytes: Mapping[str, int] = NOWHERE) -> None:
        """Give back what was claimed."""
        self.admission.release(released_bytes, device_bytes)
        self.claimed_bytes -= released_bytes
        self.device_bytes.subtract(device_bytes)

    def clear(self) -> None:
        """Forget all cells and give back all that was claimed."""
        self.cells[:] = [SlotCells() for _ in self.cells]
        self.admission.note(0, 0)
        self.release(self.claimed_bytes, dict(self.device_bytes))

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Grants or claims change within the block, so that the numbers needn't agree until it ends."""
        self.changes += 1
        self._unfinished += 1
        try:
            yield
        finally:
            self._unfinished -= 1

    def check_integrity(self, recount: Callable[[], list[str]]) -> list[str]:
        """What `recount` finds wrong while nothing is being changed; nothing where there is no such moment."""
        for _ in range(_LOOKS):
            changes, is_resting = self.changes, self._unfinished == 0
            faults = recount()
            if not faults or (is_resting and self.changes == changes):
                return faults
        return []

    def faults(self, max_cells: int, booked_bytes: int) -> list[str]:
        """Where the numbers don't agree. No slot may have more than `max_cells`; all of them take `booked_bytes`."""
        # each number is read before the one that must not be smaller, which is raised first
        found = [
            f"slot {slot} has {state.stored} cells stored, {state.written} written and {state.granted} granted, "
            f"of {max_cells}"
            for slot, state in enumerate(self.cells)
            if not 0 <= state.stored <= state.written <= state.granted <= max_cells
        ]
        if self.claimed_bytes != booked_bytes:
            found.append(f"the cache claims {self.claimed_bytes} bytes, and its grants take {booked_bytes}")
        if (granted_bytes := self.admission.granted_bytes) != self.claimed_bytes:
            found.append(f"admission has granted {granted_bytes} bytes, and the cache claims {self.claimed_bytes}")
        return found
