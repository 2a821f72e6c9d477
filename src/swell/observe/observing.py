"""All who are told what happens in one server."""

import asyncio

from swell.files import state_folder
from swell.observe.live import Live
from swell.observe.monitor import Monitor
from swell.observe.prometheus import Exporter
from swell.observe.request_log import RequestLog
from swell.observe.size_keeping import SizeKeeper
from swell.observe.tally import Tally
from swell.observe.traces import traces
from swell.scheduler.schedules import Schedules
from swell.settings import Settings
from swell.sizes.file import SizeFile


class Observing:
    """Made before the server starts; `start` and `close` are called in its event loop."""

    def __init__(self, settings: Settings, scheduler: Schedules) -> None:
        metrics = scheduler.metrics
        self.metrics = metrics
        self.monitor = Monitor(settings, metrics, scheduler.describe, scheduler.count_queued, sizes=scheduler.sizes)
        self.monitor.replicas = scheduler.replicas
        self.live = Live(metrics, self.monitor)
        self._exporter = Exporter(Tally(metrics), lambda: self.monitor.latest)
        self._log = RequestLog(metrics)
        self._traces = traces(settings, metrics)
        self._sizes = SizeKeeper(metrics, scheduler.sizes, _size_file(settings))
        self._monitoring: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look at the loaded models, and read what was learned of others."""
        self._monitoring = asyncio.create_task(self.monitor.run(), name="monitor")
        await self._sizes.start()

    def scrape(self) -> bytes:
        """The metrics, in Prometheus' text format. Never waits: a runner's numbers are those of the latest look."""
        self.monitor.poke()
        return self._exporter.scrape()

    async def close(self) -> None:
        """Stop looking, and send the traces and write the sizes that are left."""
        self.live.close()
        if self._monitoring is not None:
            self._monitoring.cancel()
            await asyncio.gather(self._monitoring, return_exceptions=True)
        await self._sizes.close()
        if self._traces is not None:
            await self._traces.close()


def _size_file(settings: Settings) -> SizeFile | None:
    """The file of turns' sizes, for those who learn from them and have a place for it."""
    folder = state_folder() if settings.learns_first_grant else None
    return SizeFile(folder / "sizes.db") if folder else None
