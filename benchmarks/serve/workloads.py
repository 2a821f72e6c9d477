"""What clients ask for. Texts are made from seeds: all servers are asked the same, and no round repeats another."""

import dataclasses
import random
from collections.abc import Callable

Message = dict[str, str]

_WORDS = [
    "river",
    "mountain",
    "lantern",
    "copper",
    "market",
    "signal",
    "harbour",
    "winter",
    "engine",
    "garden",
    "letter",
    "bridge",
    "candle",
    "forest",
    "window",
    "paper",
    "island",
    "summer",
    "station",
    "village",
    "morning",
    "thunder",
    "silver",
    "meadow",
    "kitchen",
    "shadow",
    "compass",
    "orchard",
    "library",
    "journey",
]
_LONG_WORDS, _SHARED_WORDS, _TURN_WORDS = 900, 600, 120


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """`script(seed, client)` is what one client says, turn by turn; each answer is at most `predict` tokens long."""

    name: str
    script: Callable[[int, int], list[str]]
    predict: int


def _words(count: int, *key: object) -> str:
    chosen = random.Random(repr(key)).choices(_WORDS, k=count)
    return " ".join(chosen)


def _short(seed: int, client: int) -> list[str]:
    return [f"Number {seed}-{client}. Tell a long story about a {_words(3, seed, client)}."]


def _long(seed: int, client: int) -> list[str]:
    return [f"Number {seed}-{client}. {_words(_LONG_WORDS, seed, client)}. Summarise these words."]


def _shared(seed: int, client: int) -> list[str]:
    return [f"Rules {seed}: {_words(_SHARED_WORDS, seed)}. Client {client}: tell a story about {_words(3, client)}."]


def _turns(seed: int, client: int) -> list[str]:
    return [f"Turn {seed}-{client}-{turn}. {_words(_TURN_WORDS, seed, client, turn)}. Go on." for turn in range(4)]


WORKLOADS = (
    Workload(name="short chat", script=_short, predict=96),
    Workload(name="long prompt", script=_long, predict=16),
    Workload(name="shared prefix", script=_shared, predict=32),
    Workload(name="multi-turn", script=_turns, predict=32),
)
