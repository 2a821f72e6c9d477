"""What a runner counts, in one place."""

from swell.protocol.messages import Totals


class Counters:
    """Counts from when the model was loaded. Written by the thread that computes; read from any, without a lock."""

    def __init__(self) -> None:
        self.batches = 0
        """Batches that were computed."""
        self._computed_tokens = 0
        self._prompt_tokens = 0
        self._cached_tokens = 0
        self._generated_tokens = 0
        self._cut_tokens = 0
        self._reclaims = 0
        self._pauses = 0
        self._growths = 0
        self._shrinks = 0
        self._stall_ns = 0

    def batch_computed(self, tokens: int) -> None:
        self.batches += 1
        self._computed_tokens += tokens

    def prompt_read(self, tokens: int, cached_tokens: int = 0) -> None:
        """A prompt of `tokens` is in the cache; `cached_tokens` of them were there before."""
        self._prompt_tokens += tokens
        self._cached_tokens += cached_tokens

    def tokens_generated(self, tokens: int) -> None:
        self._generated_tokens += tokens

    def tokens_cut(self, tokens: int) -> None:
        """They were left out of a prompt, or forgotten because a window was full."""
        self._cut_tokens += tokens

    def prefix_reclaimed(self) -> None:
        """An idle slot gave up the conversation that it had cached."""
        self._reclaims += 1

    def request_paused(self) -> None:
        """A request gave up its cells to others, and waits."""
        self._pauses += 1

    def grant_raised(self, stall_ns: int) -> None:
        """A slot may hold more tokens than before. Meanwhile nothing was computed."""
        self._growths += 1
        self._stall_ns += stall_ns

    def grant_lowered(self, stall_ns: int) -> None:
        """A slot may hold fewer tokens than before. Meanwhile nothing was computed."""
        self._shrinks += 1
        self._stall_ns += stall_ns

    def totals(self) -> Totals:
        """The numbers of this moment, as the server is told them."""
        return Totals(
            prompt=self._prompt_tokens,
            cached=self._cached_tokens,
            generated=self._generated_tokens,
            cut=self._cut_tokens,
            computed=self._computed_tokens,
            batches=self.batches,
            reclaims=self._reclaims,
            growths=self._growths,
            shrinks=self._shrinks,
            stall_ns=self._stall_ns,
            pauses=self._pauses,
        )
