"""The sizes of each model's latest turns, in memory."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SIZES_MAX = 100
"""Of one model. They are soon replaced when its use changes, and enough that a few odd ones don't count."""
MODELS_MAX = 64
_NOTHING: Sequence[int] = ()


class TurnSize(NamedTuple):
    """A turn that has come to its end: the key of its model (`Model.key_digest`), how many tokens that held for it, and
    when it ended, in whole seconds since 1970.
    """

    model: str
    tokens: int
    ended_s: int


class RecentSizes:
    """Of so many models at most, those that answered last. Used from the event loop only."""

    def __init__(self) -> None:
        self._sizes: dict[str, deque[int]] = {}
        """The model that answered last is the last one."""

    def of(self, model: str) -> Sequence[int]:
        """The sizes of one model, the latest last."""
        return self._sizes.get(model, _NOTHING)

    def add(self, size: TurnSize) -> None:
        """One more turn has ended."""
        sizes = self._sizes.pop(size.model, None) or deque(maxlen=SIZES_MAX)
        sizes.append(size.tokens)
        self._sizes[size.model] = sizes
        if len(self._sizes) > MODELS_MAX:
            del self._sizes[next(iter(self._sizes))]

    def add_earlier(self, sizes: Iterable[TurnSize]) -> None:
        """These were before all that are known."""
        known, self._sizes = self._sizes, {}
        for size in sizes:
            self.add(size)
        for model, later in known.items():
            for tokens in later:
                self.add(TurnSize(model, tokens, 0))

    def clear(self) -> None:
        """Forget all."""
        self._sizes.clear()
