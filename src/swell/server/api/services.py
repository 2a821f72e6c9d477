"""What the endpoints work with, kept in the application's state."""

import ipaddress
from dataclasses import dataclass

from starlette.requests import Request

from swell.server.models.catalog import Catalog
from swell.server.scheduler import Scheduler
from swell.settings import Settings


@dataclass(frozen=True)
class Services:
    """The server's parts."""

    settings: Settings
    scheduler: Scheduler
    catalog: Catalog


def services(request: Request) -> Services:
    """Those of the application that answers `request`."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


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
