"""The web application: every route, and what stands before it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from swell.server.api import chat, embed, generate, models, status
from swell.server.api.anthropic import messages as anthropic_messages
from swell.server.api.anthropic.errors import error_answer as anthropic_error
from swell.server.api.errors import handlers
from swell.server.api.openai import chat as openai_chat
from swell.server.api.openai import completions as openai_completions
from swell.server.api.openai import embeddings as openai_embeddings
from swell.server.api.openai import models as openai_models
from swell.server.api.openai import responses as openai_responses
from swell.server.api.openai.errors import error_answer as openai_error
from swell.server.api.security import CorsMiddleware, HostMiddleware
from swell.server.api.services import Services
from swell.server.models.catalog import Catalog
from swell.server.scheduler import Scheduler
from swell.settings import Settings

ROUTES = (
    ("/", ("GET", "HEAD"), status.alive),
    ("/api/version", ("GET", "HEAD"), status.version),
    ("/api/tags", ("GET", "HEAD"), models.tags),
    ("/api/ps", ("GET",), models.ps),
    ("/stats", ("GET",), models.stats),
    ("/api/show", ("POST",), models.show),
    ("/api/generate", ("POST",), generate.generate),
    ("/api/chat", ("POST",), chat.chat),
    ("/api/embed", ("POST",), embed.embed),
    ("/api/embeddings", ("POST",), embed.embeddings),
    ("/v1/models", ("GET",), openai_models.models),
    ("/v1/models/{model:path}", ("GET",), openai_models.model),
    ("/v1/chat/completions", ("POST",), openai_chat.chat_completions),
    ("/v1/completions", ("POST",), openai_completions.completions),
    ("/v1/embeddings", ("POST",), openai_embeddings.embeddings),
    ("/v1/responses", ("POST",), openai_responses.responses),
    ("/v1/messages", ("POST",), anthropic_messages.messages),
    ("/v1/messages/count_tokens", ("POST",), anthropic_messages.count_tokens),
)
"""Path, methods and endpoint of each."""

_ERROR_ANSWERS = {"/v1/messages": anthropic_error, "/v1/": openai_error}
"""Whose words an error is answered in, by how its path begins; all others are Ollama's."""


def create_app(settings: Settings, scheduler: Scheduler, catalog: Catalog) -> Starlette:
    """The application over a running scheduler, which it closes when it shuts down."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await scheduler.close()

    app = Starlette(
        routes=[_route(path, methods, endpoint) for path, methods, endpoint in ROUTES],
        middleware=[
            Middleware(CorsMiddleware, origins=settings.origins),
            Middleware(HostMiddleware, bound_host=settings.host.host),
        ],
        exception_handlers=handlers(_ERROR_ANSWERS),
        lifespan=lifespan,
    )
    app.state.services = Services(settings, scheduler, catalog)
    return app


def _route(path: str, methods: tuple[str, ...], endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """A route for exactly these methods; Starlette adds HEAD to every GET, the contract doesn't."""
    route = Route(path, endpoint, methods=list(methods))
    route.methods = set(methods)
    return route
