"""The web application: every route, and what stands before it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from swell.server.api import chat, embed, generate, models, status
from swell.server.api.errors import HANDLERS
from swell.server.api.security import CorsMiddleware, HostMiddleware
from swell.server.api.services import Services
from swell.server.models.catalog import Catalog
from swell.server.scheduler import Scheduler
from swell.settings import Settings

_ROUTES = (
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
)


def create_app(settings: Settings, scheduler: Scheduler, catalog: Catalog) -> Starlette:
    """The application over a running scheduler, which it closes when it shuts down."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await scheduler.close()

    app = Starlette(
        routes=[_route(path, methods, endpoint) for path, methods, endpoint in _ROUTES],
        middleware=[
            Middleware(CorsMiddleware, origins=settings.origins),
            Middleware(HostMiddleware, bound_host=settings.host.host),
        ],
        exception_handlers=HANDLERS,
        lifespan=lifespan,
    )
    app.state.services = Services(settings, scheduler, catalog)
    return app


def _route(path: str, methods: tuple[str, ...], endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """A route for exactly these methods; Starlette adds HEAD to every GET, the contract doesn't."""
    route = Route(path, endpoint, methods=list(methods))
    route.methods = set(methods)
    return route
