"""POST /v1/embeddings."""

import array
import base64
import sys
from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.body import read_body
from swell.api.http.disconnects import while_connected
from swell.api.http.services import find_embedder, services
from swell.api.openai.bodies import EmbeddingRequest
from swell.api.v1 import v1_response
from swell.errors import InvalidRequestError, ModelNotFoundError
from swell.turns.checks import check_embeds
from swell.turns.request import TurnRequest
from swell.turns.vectors import compute, shortened


class Usage(msgspec.Struct, kw_only=True):
    prompt_tokens: int
    total_tokens: int


class Embedding(msgspec.Struct, kw_only=True):
    """A vector: numbers, or base64 of float32, little endian."""

    object: str
    embedding: list[float] | str
    index: int


class EmbeddingList(msgspec.Struct, kw_only=True):
    """The answer."""

    object: str
    data: list[Embedding]
    model: str
    usage: Usage


async def embeddings(request: Request) -> Response:
    """Vectors of length 1. Texts that are too long are cut."""
    body = await read_body(request, EmbeddingRequest)
    texts = texts_of(body.input)
    if body.encoding_format not in ("float", "base64"):
        raise InvalidRequestError(
            f"Invalid value for 'encoding_format' = {body.encoding_format}. Supported values: ['float', 'base64']."
        )
    if not body.model:
        raise ModelNotFoundError("")
    model = await find_embedder(request, body.model)
    check_embeds(body.model, model)
    turn = TurnRequest(model=model, content=texts)
    computed = await while_connected(request.receive, compute(services(request), turn, texts, truncates=True))
    vectors = [shortened(vector, body.dimensions) for vector in computed.vectors]
    reply = EmbeddingList(
        object="list",
        data=[
            Embedding(
                object="embedding",
                embedding=packed(vector) if body.encoding_format == "base64" else vector,
                index=index,
            )
            for index, vector in enumerate(vectors)
        ],
        model=body.model,
        usage=Usage(prompt_tokens=computed.tokens, total_tokens=computed.tokens),
    )
    return v1_response(reply)


def texts_of(value: object) -> list[str]:
    """The field `input`. Lists of tokens are refused. Raises InvalidRequestError."""
    texts = [value] if isinstance(value, str) else value
    if texts is None or texts == []:
        raise InvalidRequestError("invalid input")
    if not isinstance(texts, list):
        raise InvalidRequestError("invalid input type")
    strings = [text for text in texts if isinstance(text, str)]
    if len(strings) < len(texts):
        raise InvalidRequestError("invalid input type")
    return strings


def packed(vector: Sequence[float]) -> str:
    """Base64 of the numbers as float32, little endian."""
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
