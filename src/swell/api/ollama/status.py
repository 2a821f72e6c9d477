"""GET /, /health, /api/version and /api/status."""

import asyncio

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from swell.api.http.json import json_response
from swell.api.http.services import services
from swell.version import OLLAMA_API_VERSION, __version__


async def alive(_request: Request) -> Response:
    """The text that clients look for to see whether a server is there."""
    return PlainTextResponse("Ollama is running")


async def version(_request: Request) -> Response:
    """The contract's version, which clients compare, and Swell's own."""
    return json_response({"version": OLLAMA_API_VERSION, "swell": __version__})


async def health(_request: Request) -> Response:
    """That the server can answer, in the words of llama.cpp's server."""
    return json_response({"status": "ok"})


async def status(request: Request) -> Response:
    """That there is no cloud, and the longest context that any model has: programs that launch others ask for it."""
    settings = services(request).settings
    models = await asyncio.to_thread(services(request).catalog.list)
    longest = max((settings.context_ceiling(model.context_length) for model in models), default=0)
    return json_response({"cloud": {"disabled": True, "source": "none"}, "context_length": longest})
