"""POST /api/embed and its older form /api/embeddings: texts to vectors."""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from swell.errors import (
    EmbeddingValueError,
    InputTooLongError,
    InvalidRequestError,
    LegacyInputTooLongError,
    ModelNotFoundError,
    ModelNotPulledError,
)
from swell.server.api.bodies import EmbedBody, EmbeddingsBody, keep_alive, read_body
from swell.server.api.checks import check_embeds, find_model
from swell.server.api.completion import load
from swell.server.api.disconnects import while_connected
from swell.server.api.responses import EmbeddingsReply, EmbedReply, json_response
from swell.server.api.services import Services, services
from swell.server.models.model import Model
from swell.server.options import Options, merge
from swell.server.runner import Runner
from swell.server.survival.recovery import retried

_TINY_NORM = 1e-12
"""What a shorter vector is divided by instead, as Ollama does: a null vector stays one."""


async def embed(request: Request) -> Response:
    """Vectors of length 1. The checks are in the order in which Ollama makes them."""
    started_ns = time.perf_counter_ns()
    body = await read_body(request, EmbedBody)
    keep_alive_s, texts = keep_alive(body.keep_alive), _texts(body.input)
    if not body.model:
        raise ModelNotFoundError("")
    model, options = await _find(request, body.model), merge(body.options)
    if not texts:
        await load(request, model, keep_alive_s, options)
        return json_response(EmbedReply(model=body.model, embeddings=[]))
    check_embeds(body.model, model)
    work = _compute(services(request), model, options, keep_alive_s, texts, truncates=body.truncate)
    computed = await while_connected(request.receive, work)
    reply = EmbedReply(
        model=body.model,
        embeddings=[_shortened(vector, body.dimensions) for vector in computed.vectors],
        total_duration=time.perf_counter_ns() - started_ns,
        load_duration=computed.loaded_ns - started_ns,
        prompt_eval_count=computed.tokens,
    )
    return json_response(reply)


async def embeddings(request: Request) -> Response:
    """One vector, as the model gives it. A text that is too long is not cut."""
    body = await read_body(request, EmbeddingsBody)
    keep_alive_s = keep_alive(body.keep_alive)
    if not body.model:
        raise InvalidRequestError("model is required")
    model, options = await _find(request, body.model), merge(body.options)
    if not body.prompt:
        await load(request, model, keep_alive_s, options)
        return json_response(EmbeddingsReply(embedding=[]))
    check_embeds(body.model, model)
    work = _compute(services(request), model, options, keep_alive_s, [body.prompt], truncates=False)
    try:
        computed = await while_connected(request.receive, work)
    except InputTooLongError as error:
        raise LegacyInputTooLongError from error
    return json_response(EmbeddingsReply(embedding=_finite(computed.vectors[0])))


def _texts(value: object) -> list[str]:
    """The field `input`; no texts mean that the model is only to be loaded. Raises InvalidRequestError."""
    if value is None or value == "":
        return []
    texts = []
    for text in value if isinstance(value, list) else [value]:
        if not isinstance(text, str):
            raise InvalidRequestError("invalid input type")
        texts.append(text)
    return texts


async def _find(request: Request, name: str) -> Model:
    try:
        return await find_model(request, name)
    except ModelNotFoundError as error:
        raise ModelNotPulledError(name) from error


class _Computed(NamedTuple):
    """Vectors, how many tokens they were computed from, and when the model was ready (`time.perf_counter_ns`)."""

    vectors: list[list[float]]
    tokens: int
    loaded_ns: int


async def _compute(
    parts: Services,
    model: Model,
    options: Options,
    keep_alive_s: float | None,
    texts: Sequence[str],
    *,
    truncates: bool,
) -> _Computed:
    """Load, tokenise, cut, embed. Raises what `_fitted` and the runner raise."""

    async def compute(runner: Runner) -> _Computed:
        loaded_ns = time.perf_counter_ns()
        limit = _limit_tokens(options, parts.settings.context_length, runner.facts.context_max)
        inputs = await asyncio.gather(*(_fitted(runner, text, limit, truncates=truncates) for text in texts))
        return _Computed(await runner.embed(inputs), sum(map(len, inputs)), loaded_ns)

    return await retried(parts.recovery(model, options), keep_alive_s, compute)


def _limit_tokens(options: Options, default_tokens: int, context_max: int) -> int:
    """How long a text may be. Unlike a window it isn't raised to a sensible minimum."""
    wanted = options.num_ctx if options.num_ctx is not None else default_tokens or context_max
    return min(wanted, context_max)


async def _fitted(runner: Runner, text: str, limit_tokens: int, *, truncates: bool) -> list[int]:
    """The tokens of `text`, its end cut off if it must be and may. The tokenizer's own first and last tokens stay.

    Raises InputTooLongError, and InvalidRequestError when nothing would be left.
    """
    tokens = await runner.tokenize(text, add_special=True, parse_special=True)
    if len(tokens) <= limit_tokens:
        return tokens
    if not truncates:
        raise InputTooLongError
    bare = await runner.tokenize(text, add_special=False, parse_special=True)
    keep = limit_tokens - (len(tokens) - len(bare))
    if keep <= 0:
        raise InvalidRequestError("input after truncation exceeds maximum context length")
    places = range(len(tokens) - len(bare) + 1)
    start = next((place for place in places if tokens[place : place + len(bare)] == bare), 0)
    return tokens[: start + keep] + tokens[start + len(bare) :]


def _shortened(vector: Sequence[float], dimensions: int) -> list[float]:
    """`vector` at length 1, or as many `dimensions` of it, again at length 1. Raises EmbeddingValueError."""
    unit = _unit(_finite(vector))
    return _unit(unit[:dimensions]) if 0 < dimensions < len(unit) else unit


def _finite(vector: Sequence[float]) -> list[float]:
    if not all(map(math.isfinite, vector)):
        raise EmbeddingValueError
    return list(vector)


def _unit(vector: Sequence[float]) -> list[float]:
    norm = max(math.hypot(*vector), _TINY_NORM)
    return [number / norm for number in vector]
