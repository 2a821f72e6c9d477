"""The server's parts, as an endpoint finds them by its request."""

import ipaddress

from starlette.requests import Request

from swell.errors import ModelNotFoundError, ModelNotPulledError
from swell.models.model import Model
from swell.turns import checks
from swell.turns.services import Services

SERVICES = "swell.services"
"""Where they are in a request's ASGI scope."""


def services(request: Request) -> Services:
    """Those of the application that answers `request`."""
    found = request.scope[SERVICES]
    assert isinstance(found, Services)
    return found


async def find_model(request: Request, name: str) -> Model:
    """The model called `name`. Only clients on this machine may name files. Raises what `checks.find_model` does."""
    return await checks.find_model(services(request).catalog, name, allow_path=is_local_client(request))


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
