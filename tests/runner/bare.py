"""Slots and requests without a model, and a store that only counts cells."""

from collections.abc import Sequence
from typing import Any

from swell.errors import KvGrowError
from swell.kv.cells import SlotCells
from swell.kv.policy import GrowthPolicy, least_grant, next_grant
from swell.runner.slots import EngineRequest, Slot


class NoSampler:
    """For policy, which never samples."""

    def sample(self, context: Any, batch_index: int) -> int:
        raise AssertionError

    def close(self) -> None:
        """There is nothing to free."""


def bare_request(request_id: int = 0, tokens: int = 1, *, started_ns: int = 0, **changes: Any) -> EngineRequest:
    """A request with a prompt of `tokens`, which no other has."""
    values: dict[str, Any] = {
        "known": [1000 * request_id + index for index in range(tokens)],
        "read_tokens": tokens,
        "window_tokens": 1 << 20,
        "limit_tokens": 1 << 20,
        "batch_tokens": 1 << 20,
        "threads": None,
        "sampler": NoSampler(),
        "started_ns": started_ns,
    }
    return EngineRequest(request_id, **{**values, **changes})


def bare_slot(
    index: int, tokens: Sequence[int], *, last_used_ns: int = 0, request: EngineRequest | None = None
) -> Slot:
    """A slot in which all of `tokens` are stored."""
    return Slot(index, SlotCells(stored=len(tokens)), list(tokens), request, last_used_ns)


class CountingStore:
    """Grants up to `limit_cells` to all slots together; a cell takes one byte."""

    def __init__(self, slots: int, limit_cells: int, block_cells: int = 32) -> None:
        self.cells = [SlotCells() for _ in range(slots)]
        self.limit_cells = limit_cells
        self.policy = GrowthPolicy(initial_cells=1, block_cells=block_cells, max_cells=1 << 20)

    @property
    def granted(self) -> int:
        return sum(cells.granted for cells in self.cells)

    def ensure(self, slot: int, cells: int) -> None:
        state = self.cells[slot]
        for wanted in (next_grant(state.granted, cells, self.policy), max(cells, state.granted)):
            free = self.limit_cells - self.granted
            if wanted - state.granted <= free:
                state.granted = wanted
                return
        raise KvGrowError(
            from_cells=state.granted,
            to_cells=cells,
            max_cells=self.policy.max_cells,
            needed_bytes=cells - state.granted,
            free_bytes=free,
        )

    def drop_checkpoints(self) -> None:
        """There are none."""

    def rewind(self, slot: int, keep: int) -> int:
        self.cells[slot].stored = min(keep, self.cells[slot].stored)
        return self.cells[slot].stored

    def compact(self, needed: Sequence[int]) -> None:
        for state, cells in zip(self.cells, needed, strict=True):
            state.granted = least_grant(state.granted, max(state.stored, cells), self.policy)

    def reclaimable_bytes(self, needed: Sequence[int]) -> int:
        kept = (least_grant(state.granted, cells, self.policy) for state, cells in zip(self.cells, needed, strict=True))
        return self.granted - sum(kept)
