"""The server's parts, as an endpoint finds them by its request."""

import ipaddress
from typing import NamedTuple

from starlette.requests import Request

from swell.errors import CloudDisabledError, ModelNotFoundError, ModelNotPulledError
from swell.library.library import Library
from swell.models.model import Model
from swell.observe.observing import Observing
from swell.turns import checks
from swell.turns.services import Services

PARTS = "swell.parts"
"""Where they are in a request's ASGI scope."""


_REMOTE = (":cloud", "-cloud")
"""How names of models end that run in Ollama's cloud."""


class Parts(NamedTuple):
    """All that endpoints need of the server."""

    services: Services
    library: Library
    observing: Observing


def services(request: Request) -> Services:
    """What turns need, of the application that answers `request`."""
    return _parts(request).services


def library(request: Request) -> Library:
    """What changes the models that there are, of the application that answers `request`."""
    return _parts(request).library


def observing(request: Request) -> Observing:
    """Who is told what happens in the application that answers `request`."""
    return _parts(request).observing


def _parts(request: Request) -> Parts:
    found = request.scope[PARTS]
    assert isinstance(found, Parts)
    return found


async def find_model(request: Request, name: str) -> Model:
    """The model called `name`. Only clients on this machine may name files.

    Raises what `checks.find_model` does, and CloudDisabledError for a name that only Ollama's cloud knows.
    """
    try:
        return await checks.find_model(services(request).catalog, name, allow_path=is_local_client(request))
    except ModelNotFoundError as error:
        if name.lower().endswith(_REMOTE):
            raise CloudDisabledError("remote model is unavailable") from error
        raise


async def find_embedder(request: Request, name: str) -> Model:
    """The model called `name`; that there is none is said in the words of the endpoints for embeddings."""
    try:
        return await find_model(request, name)
    except ModelNotFoundError as error:
        raise ModelNotPulledError(name) from error


def is_local_client(request: Request) -> bool:
    """Whether the client is on this machine, and so may name files."""
    if request.client is None:
        return False
    try:
        address = ipaddress.ip_address(request.client.host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
