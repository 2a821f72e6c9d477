"""GET / and the files of the page that it shows to browsers."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from swell.api.http.services import services
from swell.api.ollama import status
from swell.api.web.accept import prefers_html
from swell.api.web.files import WebFile, site
from swell.errors import NoSuchPathError


async def home(request: Request) -> Response:
    """The dashboard for browsers, unless it is turned off; for all others that the server is there."""
    if _is_on(request) and prefers_html(",".join(request.headers.getlist("accept"))):
        response = _answer(request, site().page)
    else:
        response = await status.alive(request)
    response.headers["vary"] = "Accept"
    return response


async def file(request: Request) -> Response:
    """A file of the page, of the version that this server has."""
    version, name = request.path_params["version"], request.path_params["name"]
    found = site().files.get(name) if _is_on(request) and version == site().version else None
    if found is None:
        return PlainTextResponse(str(NoSuchPathError()), 404)
    return _answer(request, found)


def _is_on(request: Request) -> bool:
    return services(request).settings.dashboard


def _answer(request: Request, found: WebFile) -> Response:
    """The file, or that the client has it already."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if known & {found.tag, "*"}:
        return Response(status_code=304, headers={name: found.headers[name] for name in ("etag", "cache-control")})
    return Response(found.content, headers=dict(found.headers))
