"""POST /api/embed and its older form /api/embeddings: texts to vectors."""

import time

from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.body import read_body
from swell.api.http.disconnects import while_connected
from swell.api.http.json import json_response
from swell.api.http.services import find_embedder, services
from swell.api.ollama.bodies import EmbedBody, EmbeddingsBody, keep_alive
from swell.api.ollama.replies import EmbeddingsReply, EmbedReply
from swell.errors import InputTooLongError, InvalidRequestError, LegacyInputTooLongError, ModelNotFoundError
from swell.options import merge
from swell.turns.checks import check_embeds
from swell.turns.completion import load
from swell.turns.request import TurnRequest
from swell.turns.vectors import compute, finite, shortened


async def embed(request: Request) -> Response:
    """Vectors of length 1. The checks are in the order in which Ollama makes them."""
    started_ns = time.perf_counter_ns()
    body = await read_body(request, EmbedBody)
    keep_alive_s, texts = keep_alive(body.keep_alive), _texts(body.input)
    if not body.model:
        raise ModelNotFoundError("")
    parts, model = services(request), await find_embedder(request, body.model)
    turn = TurnRequest(
        model=model,
        options=merge(body.options, model.manifest.parameters),
        keep_alive_s=keep_alive_s,
        started_ns=started_ns,
        content=texts or None,
    )
    if not texts:
        await while_connected(request.receive, load(parts, turn))
        return json_response(EmbedReply(model=body.model, embeddings=[]))
    check_embeds(body.model, model)
    computed = await while_connected(request.receive, compute(parts, turn, texts, truncates=body.truncate))
    reply = EmbedReply(
        model=body.model,
        embeddings=[shortened(vector, body.dimensions) for vector in computed.vectors],
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
    parts, model = services(request), await find_embedder(request, body.model)
    texts = [body.prompt] if body.prompt else None
    turn = TurnRequest(
        model=model, options=merge(body.options, model.manifest.parameters), keep_alive_s=keep_alive_s, content=texts
    )
    if not texts:
        await while_connected(request.receive, load(parts, turn))
        return json_response(EmbeddingsReply(embedding=[]))
    check_embeds(body.model, model)
    try:
        computed = await while_connected(request.receive, compute(parts, turn, texts, truncates=False))
    except InputTooLongError as error:
        raise LegacyInputTooLongError from error
    return json_response(EmbeddingsReply(embedding=finite(computed.vectors[0])))


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
