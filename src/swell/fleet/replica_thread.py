"""A replica in a thread of its own, inside whatever program runs it."""

import asyncio
import secrets
import threading
from concurrent.futures import Future

import uvloop

from swell.fleet.directory import ReplicaAddress
from swell.fleet.messages import ReplicaReport
from swell.fleet.replica import ReplicaService
from swell.models.catalog import whole_catalog
from swell.scheduler.scheduler import Scheduler
from swell.settings import Settings
from swell.store.store import Store

_SECRET_BYTES = 32


class ReplicaThread:
    """A scheduler and the service that leases its runners out. One that was stopped can't be started again."""

    def __init__(self, settings: Settings, name: str, node: str) -> None:
        self._settings = settings
        self._name = name
        self._node = node
        self._secret = secrets.token_hex(_SECRET_BYTES)
        self._started: Future[tuple[str, int]] = Future()
        self._stop: Future[float] = Future()
        """The time that leases may still take."""
        self._thread = threading.Thread(target=self._run, name="replica")
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, host: str) -> ReplicaAddress:
        """Returns when it can be reached, at a free port of `host`. Raises OSError."""
        self._host = host
        self._thread.start()
        address, port = self._started.result()
        return ReplicaAddress(self._name, self._node, address, port, self._secret)

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def report(self) -> ReplicaReport:
        """What is true of it at this moment. Raises RuntimeError if it has ended."""
        if self._loop is None or not self.is_running:
            raise RuntimeError("the replica has ended")
        return asyncio.run_coroutine_threadsafe(self._reported(), self._loop).result()

    def stop(self, drain_s: float) -> None:
        """Take no more leases, and end when the last one has, or after `drain_s`.

        Returns when all processes have ended.
        """
        if not self._stop.done():
            self._stop.set_result(drain_s)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _reported(self) -> ReplicaReport:
        return await self._service.report()

    _service: ReplicaService

    async def _serve(self) -> None:
        settings = self._settings
        scheduler = Scheduler(settings)
        store = Store(settings.store_dir, prunes=False, in_use=scheduler.files_in_use)
        catalog = whole_catalog(store, settings.models_dir, settings.template_preference)
        self._service = service = ReplicaService(scheduler, catalog, self._secret)
        self._loop = asyncio.get_running_loop()
        try:
            self._started.set_result(await service.start(self._host))
            await service.drain(await asyncio.wrap_future(self._stop))
        finally:
            await service.close()
            await scheduler.close()
