"""The server's parts that turns work with."""

from dataclasses import dataclass, field

from swell.metrics.observer import Metrics
from swell.models.catalog import Catalog
from swell.sandbox.renderer import Renders
from swell.sandbox.schemas import ChecksSchemas
from swell.scheduler.schedules import Schedules
from swell.settings import Settings
from swell.turns.recovery.quarantine import Quarantine
from swell.turns.recovery.recovery import Limits, Recovery
from swell.turns.request import TurnRequest


@dataclass(frozen=True)
class Services:
    """The parts that all turns share."""

    settings: Settings
    scheduler: Schedules
    catalog: Catalog
    renderer: Renders
    schemas: ChecksSchemas
    quarantine: Quarantine = field(default_factory=Quarantine)

    @property
    def metrics(self) -> Metrics:
        """Where scheduler and turns count."""
        return self.scheduler.metrics

    def recovery(self, request: TurnRequest) -> Recovery:
        """The recovery of one request."""
        limits = Limits(
            attempts_max=self.settings.resume_attempts, is_cache_flexible=self.settings.kv_cache_type is None
        )
        return Recovery(self.scheduler, request, limits, self.quarantine, self.metrics)
