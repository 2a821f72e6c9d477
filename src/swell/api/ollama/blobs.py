"""HEAD and POST /api/blobs/:digest: files on their way to a model."""

from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.services import library
from swell.store.digests import parse_digest


async def blob(request: Request) -> Response:
    """Whether a blob is there, or its upload. One that is there isn't read again.

    The body may be of any length: it goes to the disk as it comes.
    """
    digest, blobs = parse_digest(request.path_params["digest"]), library(request)
    is_there = blobs.has_blob(digest)
    if request.method == "HEAD":
        return Response(status_code=200 if is_there else 404)
    if is_there:
        return Response(status_code=200)
    await blobs.receive_blob(digest, request.stream())
    return Response(status_code=201)
