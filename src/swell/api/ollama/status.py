"""GET / and GET /api/version."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from swell.api.http.json import json_response
from swell.version import OLLAMA_API_VERSION, __version__


async def alive(_request: Request) -> Response:
    """The text that clients look for to see whether a server is there."""
    return PlainTextResponse("Ollama is running")


async def version(_request: Request) -> Response:
    """The contract's version, which clients compare, and Swell's own."""
    return json_response({"version": OLLAMA_API_VERSION, "swell": __version__})
