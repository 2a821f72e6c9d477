"""The bookkeeping of one slot's cells. Pure: imports no llama.cpp, so that policy above it can be tested without."""

import dataclasses
from collections import deque

RECENT_REQUESTS = 2


@dataclasses.dataclass
class SlotCells:
    """Cells of one slot: allowed, in use, and written to since memory was last given back.

    `stored` <= `written` <= `granted`. `peaks` are the cells that its latest requests ended with.
    """

    granted: int = 0
    stored: int = 0
    written: int = 0
    peaks: deque[int] = dataclasses.field(default_factory=lambda: deque(maxlen=RECENT_REQUESTS))
