"""The bookkeeping of one slot's cells. Pure: imports no llama.cpp, so that policy above it can be tested without."""

import dataclasses
import math
from collections import deque
from typing import NamedTuple

from swell.kv.checkpoints import Checkpoints

RECENT_REQUESTS = 2


class Cut(NamedTuple):
    """Where a slot's cells can be cut: among the last `last_tokens`, and anywhere while no more than `whole_tokens` are
    stored. It may be possible elsewhere, too.
    """

    last_tokens: float = math.inf
    whole_tokens: float = math.inf


ANYWHERE = Cut()


@dataclasses.dataclass
class SlotCells:
    """Cells of one slot: allowed, in use, and written to since memory was last given back.

    `stored` <= `written` <= `granted`. `peaks` are the cells that its latest requests ended with. Where the stored ones
    can't be `cut`, the slot can go back to one of its `checkpoints`. `changing_ns` is how long all changes of its grant
    have taken, during which nothing is computed.
    """

    granted: int = 0
    stored: int = 0
    written: int = 0
    changing_ns: int = 0
    cut: Cut = ANYWHERE
    checkpoints: Checkpoints = dataclasses.field(default_factory=Checkpoints)
    peaks: deque[int] = dataclasses.field(default_factory=lambda: deque(maxlen=RECENT_REQUESTS))

    def reachable(self, tokens: int) -> int:
        """About how many of the first `tokens`, at most `stored`, are left when what comes after them is forgotten."""
        if self.stored - tokens <= self.cut.last_tokens or self.stored <= self.cut.whole_tokens:
            return tokens
        return max((one for one in self.checkpoints.tokens if one <= tokens), default=0)
