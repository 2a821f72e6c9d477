"""POST /api/copy, DELETE /api/delete, POST /api/pull and /api/push: changes to which models there are."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.body import read_body
from swell.api.http.services import library
from swell.api.ollama.progress import progress_response
from swell.errors import InvalidRequestError


class CopyBody(msgspec.Struct, kw_only=True):
    """POST /api/copy."""

    source: str = ""
    destination: str = ""


class DeleteBody(msgspec.Struct, kw_only=True):
    """DELETE /api/delete. `name` is the old name of `model`."""

    model: str = ""
    name: str = ""


class TransferBody(DeleteBody, kw_only=True):
    """POST /api/pull and /api/push. `insecure` allows plain HTTP and certificates that nobody vouches for."""

    insecure: bool = False
    stream: bool = True


async def copy(request: Request) -> Response:
    """Give a model a second name."""
    body = await read_body(request, CopyBody)
    await library(request).copy(body.source, body.destination)
    return Response(status_code=200)


async def delete(request: Request) -> Response:
    """Delete a model, and the blobs that no other one needs."""
    body = await read_body(request, DeleteBody)
    await library(request).delete(_name(body))
    return Response(status_code=200)


async def pull(request: Request) -> Response:
    """Fetch a model."""
    body = await read_body(request, TransferBody)
    steps = library(request).pull(body.model or body.name, insecure=body.insecure)
    return await progress_response(request, steps, stream=body.stream)


async def push(request: Request) -> Response:
    """Bring a model to its registry."""
    body = await read_body(request, TransferBody)
    steps = library(request).push(_name(body), insecure=body.insecure)
    return await progress_response(request, steps, stream=body.stream)


def _name(body: DeleteBody) -> str:
    """Raises InvalidRequestError if there is none."""
    name = body.model or body.name
    if not name:
        raise InvalidRequestError("model is required")
    return name
