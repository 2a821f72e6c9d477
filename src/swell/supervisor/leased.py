"""A runner as those see it who lease one: wherever it is."""

from contextlib import AbstractContextManager
from typing import Protocol

from swell.protocol.messages import Generate, Loaded
from swell.supervisor.stream import GenerationStream


class LeasedRunner(Protocol):
    """One that has its model loaded, for as long as the lease lasts."""

    @property
    def facts(self) -> Loaded:
        """What it said of its model."""

    @property
    def loading_ns(self) -> tuple[int, int]:
        """When the load began and when it ended, by `time.perf_counter_ns`."""

    async def tokenize(
        self, text: str, *, add_special: bool, parse_special: bool, limit_tokens: int | None = None
    ) -> list[int]:
        """Token ids of `text`; of one that has many more than `limit_tokens`, only those at both ends.

        Raises TokenizeError or RunnerLostError.
        """

    async def embed(
        self, inputs: list[list[int]], *, cut_tokens: int = 0, threads: int | None = None
    ) -> list[list[float]]:
        """The vectors of `inputs`, each the tokens of a text, in their order and as the model gives them.

        Raises what the runner reports, or RunnerLostError.
        """

    def generating(self, order: Generate) -> AbstractContextManager[GenerationStream]:
        """Have `order` carried out; inside, what comes of it. Leaving before the end cancels the work."""
