"""When and how far a slot's grant grows and shrinks. Pure functions over numbers: no I/O, no llama.cpp."""

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
    return min(granted_cells + _in_blocks(needed_cells - granted_cells, policy), policy.max_cells)


def settled_grant(granted_cells: int, recent_peak_cells: int, policy: GrowthPolicy) -> int:
    """The grant after a request: what the largest of the slot's recent requests needs and a block to grow into.

    Never below the initial grant, and lowered only by a block or more: so a request no larger than a recent one never
    makes a slot grow that was shrunk, and growing and shrinking can't alternate.
    """
    kept = max(initial_grant(policy), _in_blocks(recent_peak_cells, policy) + policy.block_cells)
    return min(granted_cells, kept) if granted_cells - kept >= policy.block_cells else granted_cells


def least_grant(granted_cells: int, needed_cells: int, policy: GrowthPolicy) -> int:
    """The grant when memory is wanted back: the blocks that hold `needed_cells`, none for none."""
    return min(granted_cells, _in_blocks(needed_cells, policy), policy.max_cells)


def next_capacity(capacity_cells: int, needed_cells: int, max_cells: int) -> int:
    """Cells of the next context when each growth copies everything: at least 8/5 of the last one.

    So a conversation that grows to n cells copies at most 1/(8/5 - 1) = 1.7 n cells each way, however it gets there;
    doubling would copy 1 n but take up to twice the memory that is needed.
    """
    return min(max(needed_cells, capacity_cells * 8 // 5), max_cells)


def _in_blocks(cells: int, policy: GrowthPolicy) -> int:
    """`cells`, rounded up to whole blocks."""
    return -(-cells // policy.block_cells) * policy.block_cells


DEFAULT_SLOTS_MAX = 4
CELL_BOOKKEEPING_BYTES = 100
"""What llama.cpp keeps per cell of the window of every slot, used or not (measured)."""
BOOKKEEPING_CELLS_MAX = 262_144
"""This many cost 26 MB."""
ANY_WINDOW_CELLS = 1 << 20
"""A window that any model may have: 105 MB of bookkeeping."""


def default_slots(max_cells: int) -> int:
    """How many slots to offer when nobody said: as many as cost next to nothing under the Reserved store."""
    return max(1, min(DEFAULT_SLOTS_MAX, BOOKKEEPING_CELLS_MAX // max_cells))


def most_cells(trained_cells: int, weights_bytes: int) -> int:
    """How many cells a slot may ever have: as many as the model was trained for, if bookkeeping for them is less than a
    quarter of the weights. Only a file that says nonsense is trained for more, and it would cost up to 400 GB.
    """
    return max(1, min(trained_cells, max(ANY_WINDOW_CELLS, weights_bytes // (4 * CELL_BOOKKEEPING_BYTES))))
