"""Texts to vectors, for all endpoints for embeddings."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

from swell.errors import (
    EmbeddingValueError,
    InputTooLongError,
    UncuttableInputError,
)
from swell.options import Options
from swell.supervisor.leased import LeasedRunner
from swell.turns.recovery.recovery import retried
from swell.turns.request import TurnRequest
from swell.turns.services import Services

_TINY_NORM = 1e-12
"""What a shorter vector is divided by instead, as Ollama does: a null vector stays one."""


class Computed(NamedTuple):
    """Vectors, how many tokens they were computed from, and when the model was ready (`time.perf_counter_ns`)."""

    vectors: list[list[float]]
    tokens: int
    loaded_ns: int


async def compute(services: Services, request: TurnRequest, texts: Sequence[str], *, truncates: bool) -> Computed:
    """Load, tokenise, cut, embed. Raises what `_fitted` and the runner raise."""
    options = request.options
    recovery = services.recovery(request)

    async def embed(runner: LeasedRunner) -> Computed:
        loaded_ns = time.perf_counter_ns()
        limit = _limit_tokens(options, services.settings.context_length, runner.facts.context_max)
        fitted = [await _fitted(runner, text, limit, truncates=truncates) for text in texts]
        inputs = [tokens for tokens, _ in fitted]
        vectors = await runner.embed(inputs, cut_tokens=sum(cut for _, cut in fitted), threads=options.threads)
        tokens = sum(map(len, inputs))
        recovery.record.computed(tokens)
        return Computed(vectors, tokens, loaded_ns)

    return await retried(recovery, embed)


def _limit_tokens(options: Options, default_tokens: int, context_max: int) -> int:
    """How long a text may be. Unlike a window it isn't raised to a sensible minimum."""
    wanted = options.num_ctx if options.num_ctx is not None else default_tokens or context_max
    return min(wanted, context_max)


async def _fitted(runner: LeasedRunner, text: str, limit_tokens: int, *, truncates: bool) -> tuple[list[int], int]:
    """The tokens of `text`, its end cut off if it must be and may, and how many were cut off. The tokenizer's own first
    and last tokens stay.

    Raises InputTooLongError, also when nothing would be left.
    """
    tokens = await runner.tokenize(text, add_special=True, parse_special=True, limit_tokens=limit_tokens)
    if len(tokens) <= limit_tokens:
        return tokens, 0
    if not truncates:
        raise InputTooLongError
    bare = await runner.tokenize(text, add_special=False, parse_special=True, limit_tokens=limit_tokens)
    keep = limit_tokens - (len(tokens) - len(bare))
    if keep <= 0:
        raise UncuttableInputError
    places = range(len(tokens) - len(bare) + 1)
    start = next((place for place in places if tokens[place : place + len(bare)] == bare), 0)
    return tokens[: start + keep] + tokens[start + len(bare) :], len(bare) - keep


def shortened(vector: Sequence[float], dimensions: int) -> list[float]:
    """`vector` at length 1, or as many `dimensions` of it, again at length 1. Raises EmbeddingValueError."""
    unit = _unit(finite(vector))
    return _unit(unit[:dimensions]) if 0 < dimensions < len(unit) else unit


def finite(vector: Sequence[float]) -> list[float]:
    if not all(map(math.isfinite, vector)):
        raise EmbeddingValueError
    return list(vector)


def _unit(vector: Sequence[float]) -> list[float]:
    norm = max(math.hypot(*vector), _TINY_NORM)
    return [number / norm for number in vector]
