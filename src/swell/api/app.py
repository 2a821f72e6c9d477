"""The web application: every route, and what stands before it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp

from swell.api import stats
from swell.api.anthropic import messages as anthropic_messages
from swell.api.anthropic.errors import error_answer as anthropic_error
from swell.api.http.endpoint import Endpoint, ExactRoute, UnknownPath
from swell.api.http.errors import ErrorAnswer
from swell.api.http.security import CorsMiddleware, HostMiddleware
from swell.api.ollama import chat, embed, generate, models, ps, status
from swell.api.ollama.errors import error_answer as ollama_error
from swell.api.openai import chat as openai_chat
from swell.api.openai import completions as openai_completions
from swell.api.openai import embeddings as openai_embeddings
from swell.api.openai import models as openai_models
from swell.api.openai import responses as openai_responses
from swell.api.openai.errors import error_answer as openai_error
from swell.models.catalog import Catalog
from swell.sandbox.renderer import Renders
from swell.sandbox.schemas import ChecksSchemas
from swell.scheduler.scheduler import Scheduler
from swell.settings import Settings
from swell.turns.services import Services

Routes = Mapping[str, tuple[Sequence[str], Callable[[Request], Awaitable[Response]]]]
"""Methods and endpoint of each path."""
_GET, _POST, _READ = ("GET",), ("POST",), ("GET", "HEAD")

OLLAMA: Routes = {
    "/": (_READ, status.alive),
    "/health": (_READ, status.health),
    "/api/version": (_READ, status.version),
    "/api/status": (_GET, status.status),
    "/api/tags": (_READ, models.tags),
    "/api/ps": (_GET, ps.ps),
    "/stats": (_GET, stats.stats),
    "/api/show": (_POST, models.show),
    "/api/generate": (_POST, generate.generate),
    "/api/chat": (_POST, chat.chat),
    "/api/embed": (_POST, embed.embed),
    "/api/embeddings": (_POST, embed.embeddings),
}
OPENAI: Routes = {
    "/v1/models": (_GET, openai_models.models),
    "/v1/models/{model:path}": (_GET, openai_models.model),
    "/v1/chat/completions": (_POST, openai_chat.chat_completions),
    "/v1/completions": (_POST, openai_completions.completions),
    "/v1/embeddings": (_POST, openai_embeddings.embeddings),
    "/v1/responses": (_POST, openai_responses.responses),
    "/v1/responses/input_tokens": (_POST, openai_responses.input_tokens),
}
ANTHROPIC: Routes = {
    "/v1/messages": (_POST, anthropic_messages.messages),
    "/v1/messages/count_tokens": (_POST, anthropic_messages.count_tokens),
}
ROUTES: Mapping[ErrorAnswer, Routes] = {
    ollama_error: OLLAMA,
    openai_error: OPENAI,
    anthropic_error: ANTHROPIC,
}
"""All endpoints, by whose words their errors are answered in."""
PREFIXES: Mapping[str, ErrorAnswer] = {
    "/v1/messages/": anthropic_error,
    "/v1/": openai_error,
    "/api/": ollama_error,
}
"""In whose words it is said that a path isn't there."""


def create_app(
    settings: Settings, scheduler: Scheduler, catalog: Catalog, renderer: Renders, schemas: ChecksSchemas
) -> ASGIApp:
    """The application over a running scheduler and the sandbox, which it closes when it shuts down."""

    @asynccontextmanager
    async def lifespan(_app: ASGIApp) -> AsyncIterator[None]:
        await renderer.warm()
        try:
            yield
        finally:
            await renderer.close()
            await schemas.close()
            await scheduler.close()

    services = Services(settings, scheduler, catalog, renderer, schemas)
    return Router(
        routes=[
            ExactRoute(path, methods, Endpoint(function, answer_error, services))
            for answer_error, routes in ROUTES.items()
            for path, (methods, function) in routes.items()
        ],
        default=UnknownPath(PREFIXES),
        middleware=[
            Middleware(CorsMiddleware, origins=settings.origins),
            Middleware(HostMiddleware, bound_host=settings.host.host),
        ],
        lifespan=lifespan,
    )
