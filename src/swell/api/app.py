"""The web application: every route, and what stands before it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import ASGIApp

from swell.api import live, stats
from swell.api.anthropic import messages as anthropic_messages
from swell.api.anthropic.errors import error_answer as anthropic_error
from swell.api.http.endpoint import Endpoint, ExactRoute, UnknownPath
from swell.api.http.errors import ErrorAnswer
from swell.api.http.requests import RequestMiddleware
from swell.api.http.security import CorsMiddleware, HostMiddleware
from swell.api.http.services import Parts
from swell.api.ollama import blobs, chat, cloud, create, embed, generate, library, models, ps, status
from swell.api.ollama.errors import error_answer as ollama_error
from swell.api.openai import chat as openai_chat
from swell.api.openai import completions as openai_completions
from swell.api.openai import embeddings as openai_embeddings
from swell.api.openai import models as openai_models
from swell.api.openai import responses as openai_responses
from swell.api.openai.errors import error_answer as openai_error
from swell.api.web import dashboard
from swell.library.library import Library
from swell.observe.observing import Observing
from swell.turns.services import Services

Routes = Mapping[str, tuple[Sequence[str], Callable[[Request], Awaitable[Response]]]]
"""Methods and endpoint of each path."""
_GET, _POST, _READ = ("GET",), ("POST",), ("GET", "HEAD")

OLLAMA: Routes = {
    "/": (_READ, dashboard.home),
    "/web/{version}/{name}": (_READ, dashboard.file),
    "/health": (_READ, status.health),
    "/api/version": (_READ, status.version),
    "/api/status": (_GET, status.status),
    "/api/tags": (_READ, models.tags),
    "/api/ps": (_GET, ps.ps),
    "/api/events": (_GET, live.events),
    "/stats": (_GET, stats.stats),
    "/metrics": (_GET, live.metrics),
    "/api/show": (_POST, models.show),
    "/api/create": (_POST, create.create),
    "/api/blobs/{digest}": (("HEAD", "POST"), blobs.blob),
    "/api/copy": (_POST, library.copy),
    "/api/delete": (("DELETE",), library.delete),
    "/api/pull": (_POST, library.pull),
    "/api/push": (_POST, library.push),
    "/api/generate": (_POST, generate.generate),
    "/api/chat": (_POST, chat.chat),
    "/api/embed": (_POST, embed.embed),
    "/api/embeddings": (_POST, embed.embeddings),
    "/api/me": (_POST, cloud.account),
    "/api/signout": (_POST, cloud.account),
    "/api/experimental/web_search": (_POST, cloud.web_search),
    "/api/experimental/web_fetch": (_POST, cloud.web_fetch),
    "/api/experimental/model-recommendations": (_GET, cloud.recommendations),
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


def create_app(services: Services, changes: Library, observing: Observing) -> ASGIApp:
    """The application over the server's parts, which it closes when it shuts down."""
    settings = services.settings

    @asynccontextmanager
    async def lifespan(_app: ASGIApp) -> AsyncIterator[None]:
        await observing.start()
        pruning = asyncio.create_task(changes.prune())
        await services.renderer.warm()
        try:
            yield
        finally:
            await pruning
            await changes.close()
            await services.renderer.close()
            await services.schemas.close()
            await services.scheduler.close()
            await observing.close()

    parts = Parts(services, changes, observing)
    return Router(
        routes=[
            ExactRoute(path, methods, Endpoint(function, answer_error, parts))
            for answer_error, routes in ROUTES.items()
            for path, (methods, function) in routes.items()
        ],
        default=UnknownPath(PREFIXES),
        middleware=[
            Middleware(RequestMiddleware, metrics=services.metrics),
            Middleware(CorsMiddleware, origins=settings.origins),
            Middleware(HostMiddleware, bound_host=settings.host.host),
        ],
        lifespan=lifespan,
    )
