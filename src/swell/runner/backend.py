"""What computes in a runner: a `Generator` for models that generate text, an `Embedder` for models that embed."""

from typing import Protocol

from swell.protocol.messages import (
    CacheCount,
    Cancel,
    Embed,
    Generate,
    KeepPrefixes,
    Loaded,
    MemoryOffered,
    Prefixes,
    SaveSlots,
    Shrink,
    Stats,
)

Work = Generate | Embed | Cancel | Shrink | MemoryOffered | SaveSlots | KeepPrefixes


class Backend(Protocol):
    """Made in the thread that then calls `run`; all other methods may be called from any thread."""

    def submit(self, work: Work) -> None:
        """Hand in work; what this kind of backend can't do is answered with Failed."""

    def run(self) -> None:
        """Work until the process ends."""

    def describe(self) -> Loaded:
        """What the server is told about the model."""

    def batches(self) -> int | None:
        """How many batches were computed; None while nothing is to be computed."""

    def stats(self, request_id: int, count: CacheCount = CacheCount.PAGES) -> Stats:
        """Memory and slots at this moment."""

    def prefixes(self, request_id: int) -> Prefixes:
        """What the slots hold at this moment."""
