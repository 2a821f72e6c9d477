"""What the endpoints work with; it goes along with every request."""

import ipaddress
from collections import Counter
from dataclasses import dataclass, field

from starlette.requests import Request

from swell.models.catalog import Catalog
from swell.models.model import Model
from swell.options import Options
from swell.sandbox.renderer import Renders
from swell.sandbox.schemas import ChecksSchemas
from swell.scheduler.scheduler import Scheduler
from swell.settings import Settings
from swell.turns.recovery.ladder import RecoveryStep
from swell.turns.recovery.quarantine import Quarantine
from swell.turns.recovery.recovery import Limits, Recovery

SERVICES = "swell.services"
"""Where they are in a request's ASGI scope."""


@dataclass(frozen=True)
class Services:
    """The server's parts."""

    settings: Settings
    scheduler: Scheduler
    catalog: Catalog
    renderer: Renders
    schemas: ChecksSchemas
    rungs: Counter[RecoveryStep] = field(default_factory=Counter)
    """What was tried to let requests go on, and how often."""
    quarantine: Quarantine = field(default_factory=Quarantine)

    def recovery(self, model: Model, options: Options, content: object) -> Recovery:
        """For one request, which consists of `content`."""
        limits = Limits(
            attempts_max=self.settings.resume_attempts, is_cache_flexible=self.settings.kv_cache_type is None
        )
        return Recovery(self.scheduler, model, options, limits, self.rungs, self.quarantine, content)


def services(request: Request) -> Services:
    """Those of the application that answers `request`."""
    found = request.scope[SERVICES]
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
