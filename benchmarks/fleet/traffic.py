"""Conversations as people have them: how long they are, what they share, and when they come. Drawn from a seed."""

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from swell.protocol.prefixes import BLOCK_TOKENS

SYSTEM_PROMPTS = 20
SYSTEM_TOKENS = (64, 2048)
"""The shortest and the longest; the logarithms of lengths are equally likely."""
TURNS_MEAN = 5.0
QUESTION_TOKENS, ANSWER_TOKENS = (60, 0.8), (150, 0.7)
"""Median and spread of log-normal lengths."""
TEXT_MAX = 1024
_OWN = 1_000_000
THINKING_S = 15.0
BURST_FACTOR, BURST_S, CALM_S = 4.0, 10.0, 30.0
"""In a burst, conversations begin so many times as often as in calm times; how long both last on average."""


@dataclass
class Talk:
    """One conversation: a system prompt that others have, too, then questions and answers. `tokens` are all so far."""

    number: int
    system: int
    system_tokens: int
    turns_left: int
    tokens: int = 0
    blocks: list[int] = field(default_factory=list)
    """Instead of hashes, numbers that are equal where the tokens up to there are."""

    def grow(self, tokens: int) -> None:
        """So many tokens are added."""
        self.tokens += tokens
        for index in range(len(self.blocks), self.tokens // BLOCK_TOKENS):
            is_system = (index + 1) * BLOCK_TOKENS <= self.system_tokens
            self.blocks.append((self.system * 10_000 if is_system else (self.number + 1) * _OWN) + index)


def is_shared(block: int) -> bool:
    """Whether it is of a system prompt, which many conversations have."""
    return block < _OWN


class Ask(NamedTuple):
    """A turn: at `at_s` a conversation is sent with a question of so many tokens at its end, and so many answer it."""

    at_s: float
    number: int
    talk: Talk
    question_tokens: int
    answer_tokens: int


class Traffic:
    """Turns in the order of their times. A conversation's next turn comes when the last one was answered and read."""

    def __init__(self, rate: float, until_s: float, seed: int) -> None:
        """On average `rate` conversations begin in a second, until `until_s`."""
        self._random = random.Random(seed)
        draw = self._random
        shortest, longest = SYSTEM_TOKENS
        self._system_tokens = [round(shortest * (longest / shortest) ** draw.random()) for _ in range(SYSTEM_PROMPTS)]
        self._popularity = [1 / rank for rank in range(1, SYSTEM_PROMPTS + 1)]
        self._numbers = 0
        self._waiting: list[Ask] = []
        for start_s in _starts(draw, rate, until_s):
            system = draw.choices(range(SYSTEM_PROMPTS), self._popularity)[0]
            turns = 1 + int(draw.expovariate(1 / (TURNS_MEAN - 1)))
            self._ask(start_s, Talk(self._numbers, system, self._system_tokens[system], turns))

    @property
    def next_s(self) -> float | None:
        """When the next turn comes, as far as that is known."""
        return self._waiting[0].at_s if self._waiting else None

    def take(self) -> Ask:
        """The next turn, whose question belongs to its conversation from now on."""
        ask = heapq.heappop(self._waiting)
        ask.talk.grow(ask.question_tokens)
        return ask

    def answered(self, ask: Ask, at_s: float) -> None:
        """A turn's answer is complete."""
        ask.talk.grow(ask.answer_tokens)
        if ask.talk.turns_left:
            self._ask(at_s + self._random.expovariate(1 / THINKING_S), ask.talk)

    def _ask(self, at_s: float, talk: Talk) -> None:
        talk.turns_left -= 1
        question_tokens = (0 if talk.tokens else talk.system_tokens) + self._length(QUESTION_TOKENS)
        self._numbers += 1
        heapq.heappush(self._waiting, Ask(at_s, self._numbers, talk, question_tokens, self._length(ANSWER_TOKENS)))

    def _length(self, kind: tuple[int, float]) -> int:
        median, spread = kind
        return min(max(1, round(median * self._random.lognormvariate(0, spread))), TEXT_MAX)


def _starts(draw: random.Random, rate: float, until_s: float) -> Iterator[float]:
    """When conversations begin: more of them in bursts."""
    calm_rate = rate * (BURST_S + CALM_S) / (BURST_FACTOR * BURST_S + CALM_S)
    at_s, change_s, is_burst = 0.0, draw.expovariate(1 / CALM_S), False
    while at_s < until_s:
        step_s = draw.expovariate(calm_rate * (BURST_FACTOR if is_burst else 1))
        if at_s + step_s < change_s:
            at_s += step_s
            yield at_s
        else:
            at_s, is_burst = change_s, not is_burst
            change_s += draw.expovariate(1 / (BURST_S if is_burst else CALM_S))
