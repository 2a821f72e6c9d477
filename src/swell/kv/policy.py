"""When and how far a slot's grant grows. Pure functions over numbers: no I/O, no llama.cpp."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrowthPolicy:
    """`initial_cells` at load, then blocks of `block_cells`, never more than `max_cells`; all per slot."""

    initial_cells: int
    block_cells: int
    max_cells: int

    def __post_init__(self) -> None:
        if min(self.initial_cells, self.block_cells, self.max_cells) < 1:
            raise ValueError(f"every number must be positive: {self}")


def initial_grant(policy: GrowthPolicy) -> int:
    """Cells granted to each slot when the model is loaded."""
    return min(policy.initial_cells, policy.max_cells)


def next_grant(granted_cells: int, needed_cells: int, policy: GrowthPolicy) -> int:
    """The grant that holds `needed_cells`: what is granted, or as many more blocks as are needed at once.

    Raises ValueError when more than `max_cells` are needed: the window is full, and no growth can help.
    """
    if needed_cells > policy.max_cells:
        raise ValueError(f"{needed_cells} cells are more than the {policy.max_cells} a slot may ever hold")
    if needed_cells <= granted_cells:
        return granted_cells
    blocks = -(-(needed_cells - granted_cells) // policy.block_cells)
    return min(granted_cells + blocks * policy.block_cells, policy.max_cells)


DEFAULT_SLOTS_MAX = 4
BOOKKEEPING_CELLS_MAX = 262_144
"""llama.cpp keeps about 100 bytes of bookkeeping per cell, reserved or not (measured): this many cost 26 MB."""


def default_slots(max_cells: int) -> int:
    """How many slots to offer when nobody said: as many as cost next to nothing under the Reserved store."""
    return max(1, min(DEFAULT_SLOTS_MAX, BOOKKEEPING_CELLS_MAX // max_cells))
