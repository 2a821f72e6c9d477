"""What Ollama's own cloud does there. Here it is always turned off, which clients are told in words that they know."""

from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.json import json_response
from swell.errors import CloudDisabledError, NotSignedInError


async def web_search(_request: Request) -> Response:
    """Refuses."""
    raise CloudDisabledError("web search is unavailable")


async def web_fetch(_request: Request) -> Response:
    """Refuses."""
    raise CloudDisabledError("web fetch is unavailable")


async def account(_request: Request) -> Response:
    """Refuses: nobody can sign in."""
    raise NotSignedInError


async def recommendations(_request: Request) -> Response:
    """None."""
    return json_response({"recommendations": []})
