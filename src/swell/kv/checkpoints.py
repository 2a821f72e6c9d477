"""The checkpoints of one slot, and which of them are kept. Pure: imports no llama.cpp.

A recurrent layer holds the state after the last token, and a sliding window only its last cells, so neither can be cut:
to go back, they are given a state that was saved earlier. Layers that keep a cell of every token need none.
"""

import mmap
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Checkpoint(NamedTuple):
    """What can't be cut of a slot that held its first `tokens` tokens."""

    tokens: int
    state: mmap.mmap
    size_bytes: int
    """Kept beside the state, which may be closed while another thread adds up what there is."""


class Checkpoints:
    """Ascending, at most one for each number of tokens."""

    def __init__(self) -> None:
        self._kept: list[Checkpoint] = []

    @property
    def tokens(self) -> list[int]:
        """The numbers of tokens to which the slot can go back."""
        return [one.tokens for one in self._kept]  # one expression: another thread may ask

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self._kept)

    @property
    def size_bytes(self) -> int:
        return sum(one.size_bytes for one in self._kept)

    def add(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, which is after all others."""
        self._kept.append(checkpoint)

    def latest(self, tokens: int) -> Checkpoint | None:
        """The last one at `tokens` tokens or before."""
        return next((one for one in reversed(self._kept) if one.tokens <= tokens), None)

    def take_after(self, tokens: int) -> list[Checkpoint]:
        """Take out those after `tokens` tokens, which are about to be others. Their states are to be closed."""
        taken = [one for one in self._kept if one.tokens > tokens]
        self._kept = self._kept[: len(self._kept) - len(taken)]
        return taken

    def take_least(self) -> list[Checkpoint]:
        """Take out the one that saves least, if there is any. Its state is to be closed."""
        return [self._kept.pop(least_valuable(self.tokens))] if self._kept else []


def least_valuable(tokens: Sequence[int]) -> int:
    """The index of the checkpoint that can best be spared: `tokens` of all, ascending.

    Without it, what branches behind it would go back to the one before. That costs most where the gap is large against
    the distance to the end, since conversations mostly branch near their end: so they get thinner with distance. The
    last one is never spared while there is another.
    """
    if len(tokens) == 1:
        return 0
    end = tokens[-1]
    gaps = zip(tokens[:-1], [0, *tokens], tokens[1:], strict=False)
    costs = [(after - before) / (end - here) for here, before, after in gaps]
    return costs.index(min(costs))
