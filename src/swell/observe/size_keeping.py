"""Turns' sizes, as they are reported, into memory and, where first grants are learned, into a file."""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from swell.errors import SizeFileError
from swell.metrics.events import ServerEvent, TurnEnded
from swell.metrics.observer import Metrics
from swell.sizes.file import SizeFile
from swell.sizes.recent import RecentSizes, TurnSize

log = logging.getLogger(__name__)

_InLoop = Callable[..., None]
"""Calls what it is given from the event loop, soon."""

READ_LIMIT_S = 0.5
"""How long a server that starts waits for the file; what is read later is learned later."""
WRITE_PAUSE_S = 3.0
"""How long a size waits for others to be written with."""
CLOSE_LIMIT_S = 3.0
_UNWRITTEN_MAX = 1000
"""While the file can't be written, so many wait for it."""


class SizeKeeper:
    """Hears of turns in the event loop, reads and writes in a thread: no answer and no load ever waits for a disk.

    Whatever is wrong with the file costs a warning. That it was deleted means that all is to be forgotten.
    """

    def __init__(self, metrics: Metrics, sizes: RecentSizes, file: SizeFile | None) -> None:
        """Without a `file` there is neither a thread."""
        self._sizes = sizes
        self._file = file
        self._unwritten = deque[TurnSize](maxlen=_UNWRITTEN_MAX)
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._problem = ""
        metrics.watch(self._on_event)

    async def start(self) -> None:
        """Begin to read; returns when that is done, or after a while."""
        if self._file is None:
            return
        loop, is_read = asyncio.get_running_loop(), asyncio.Event()

        def in_loop(call: Callable[..., None], *arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody learns any more
                loop.call_soon_threadsafe(call, *arguments)

        def keep(file: SizeFile) -> None:
            self._read(file, in_loop)
            in_loop(is_read.set)
            self._write_until_closed(file, in_loop)

        self._thread = threading.Thread(target=keep, args=(self._file,), name="sizes", daemon=True)
        self._thread.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READ_LIMIT_S):
                await is_read.wait()

    async def close(self) -> None:
        """Write what is left, if the disk takes it in time."""
        if self._thread is not None:
            self._closing.set()
            self._wake.set()
            await asyncio.to_thread(self._thread.join, CLOSE_LIMIT_S)

    def _forget_all_but(self, latest: Sequence[TurnSize]) -> None:
        self._sizes.clear()
        for size in latest:
            self._sizes.add(size)

    def _on_event(self, event: ServerEvent) -> None:
        if isinstance(event, TurnEnded) and event.model_key and event.size_tokens:
            size = TurnSize(event.model_key, event.size_tokens, int(event.at_s))
            self._sizes.add(size)
            if self._thread is not None:
                self._unwritten.append(size)
                self._wake.set()

    # --- the thread ----------------------------------------------------------------------------------------------

    def _read(self, file: SizeFile, in_loop: _InLoop) -> None:
        with self._no_harm():
            in_loop(self._sizes.add_earlier, file.read())

    def _write_until_closed(self, file: SizeFile, in_loop: _InLoop) -> None:
        """Several at a time. What can't be written is tried again with what comes next."""
        batch: list[TurnSize] = []
        was_there = file.exists()
        is_last = False
        while not is_last:
            self._wake.wait()
            self._closing.wait(WRITE_PAUSE_S)
            self._wake.clear()
            is_last = self._closing.is_set()  # looked at before: what came until then is written, too
            while self._unwritten:
                batch.append(self._unwritten.popleft())
            del batch[:-_UNWRITTEN_MAX]
            if not batch:
                continue
            if was_there and not file.exists():
                log.info("%s was deleted: what was learned from it is forgotten", file.path)
                in_loop(self._forget_all_but, tuple(batch))
            with self._no_harm():
                file.append(batch)
                batch.clear()
            was_there = file.exists()

    @contextmanager
    def _no_harm(self) -> Iterator[None]:
        """What goes wrong within the block is said once."""
        try:
            yield
        except SizeFileError as error:
            if str(error) != self._problem:
                log.warning("the sizes of answers are not kept: %s", error)
            self._problem = str(error)
        else:
            self._problem = ""
