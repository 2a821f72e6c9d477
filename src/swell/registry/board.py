"""How far a transfer is, for readers of any speed."""

import asyncio
import copy
from collections.abc import AsyncGenerator

from swell.errors import SwellError
from swell.store.progress import Progress


class ProgressBoard:
    """The latest line of each blob and each other status. Who reads slowly misses lines between, and holds up nobody;
    who comes late begins with what there is. Used from one event loop."""

    def __init__(self) -> None:
        self._lines: dict[str, tuple[int, Progress]] = {}  # by digest or status, the latest last
        self._count = 0
        self._changed = asyncio.Event()
        self._error: SwellError | None = None
        self.is_ended = False

    def put(self, progress: Progress) -> None:
        """Show a line in place of the one before it of the same blob or status."""
        key = progress.digest or progress.status
        self._count += 1
        self._lines.pop(key, None)
        self._lines[key] = (self._count, progress)
        self._wake()

    def end(self, error: SwellError | None = None) -> None:
        """Nothing more will come."""
        self._error = error
        self.is_ended = True
        self._wake()

    async def lines(self) -> AsyncGenerator[Progress, None]:
        """All lines as they come, until the end. Raises the error that the transfer ended with."""
        seen = 0
        while True:
            changed = self._changed
            for count, progress in list(self._lines.values()):
                if count > seen:
                    seen = count
                    yield progress
            if self._count > seen:
                continue
            if self.is_ended:
                if self._error is not None:
                    raise copy.copy(self._error)  # one that several raise would keep the frames of all of them
                return
            await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
