"""A replica's side of the network: leases out runners of its scheduler, and reports."""

import asyncio
import contextlib
import dataclasses
import hmac
import logging
from collections.abc import Iterator

import msgspec

from swell.errors import ModelNotFoundError, ProtocolError, SwellError, to_data
from swell.fleet.keepalive import end_if_cut_off
from swell.fleet.messages import (
    CountMemory,
    LeaseRequest,
    Opening,
    ReplicaEvent,
    ReplicaModel,
    ReplicaReport,
    UnloadModel,
    WatchRequest,
    Wish,
)
from swell.fleet.model_key import model_key
from swell.fleet.relay import LeaseRelay
from swell.metrics.events import ServerEvent
from swell.metrics.subscribers import Subscribers
from swell.models.catalog import Catalog
from swell.models.model import Model
from swell.protocol.framing import encode, messages, read_message, requests
from swell.protocol.messages import LoadFailed, Prefixes, Request
from swell.scheduler.scheduler import LoadedModel, Scheduler

log = logging.getLogger(__name__)

REPORT_S = 0.5
_PAUSE_S = 0.02  # so that many leases at once make one report
_UNTOLD_MAX = 1000  # events, for a front that takes no reports for a while
_OPENING_S = 10.0
_OPENING_MAX_BYTES = 1 << 20
_opening_decoder = msgspec.msgpack.Decoder(Opening)
_wish_decoder = msgspec.msgpack.Decoder(Wish)


class ReplicaService:
    """Serves fronts that know the secret. Used from one event loop, which is the scheduler's."""

    def __init__(self, scheduler: Scheduler, catalog: Catalog, secret: str) -> None:
        self._scheduler = scheduler
        self._catalog = catalog
        self._secret = secret
        self._is_draining = False
        self._news = asyncio.Event()
        self._leases: set[asyncio.Task[None]] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self._events = Subscribers[ReplicaEvent](_UNTOLD_MAX)
        scheduler.metrics.watch(self._on_event)
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int = 0) -> tuple[str, int]:
        """Listen on `host`; returns the address and port. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port)
        address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return address

    @property
    def leases(self) -> int:
        """How many there are."""
        return len(self._leases)

    async def drain(self, limit_s: float) -> None:
        """Take no more leases, and wait until all have ended; those that last longer are broken off, and their turns go
        on elsewhere.
        """
        self._is_draining = True
        self._tell()
        if self._leases:
            _, pending = await asyncio.wait(self._leases, timeout=limit_s)
            for lease in pending:
                lease.cancel()

    async def close(self) -> None:
        """End all connections. The scheduler is its owner's to close."""
        if self._server is not None:
            self._server.close()
        tasks = [*self._leases, *self._watches]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def report(self) -> ReplicaReport:
        """What is true of the replica, without what its slots hold."""
        return self._reported(await self._scheduler.describe())

    def _tell(self) -> None:
        """Something has changed: whoever watches is told soon."""
        self._news.set()
        self._news = asyncio.Event()

    # --- connections ---------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        end_if_cut_off(writer)
        with contextlib.suppress(ConnectionError, EOFError, TimeoutError):
            try:
                async with asyncio.timeout(_OPENING_S):
                    opening = await read_message(reader, _opening_decoder, _OPENING_MAX_BYTES)
                if not hmac.compare_digest(opening.secret.encode(), self._secret.encode()):
                    raise ProtocolError("the wrong secret")
                tasks = self._leases if isinstance(opening, LeaseRequest) else self._watches
                with _kept(tasks, task):
                    match opening:
                        case LeaseRequest():
                            await self._lease(opening, reader, writer)
                        case WatchRequest():
                            await self._watch(reader, writer)
            except ProtocolError as error:
                log.warning("a connection from %s is closed: %s", writer.get_extra_info("peername"), error)
            finally:
                writer.close()
        self._tell()

    async def _lease(self, request: LeaseRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A lease ends with its connection, also while its model is being loaded."""
        incoming: asyncio.Queue[Request] = asyncio.Queue()
        reading = asyncio.create_task(_read(reader, incoming))
        leasing = asyncio.create_task(self._relay(request, incoming, writer))
        try:
            await asyncio.wait({reading, leasing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, leasing):
                task.cancel()
            await asyncio.gather(reading, leasing, return_exceptions=True)
        for task in (reading, leasing):
            if not task.cancelled() and (error := task.exception()):
                raise error

    async def _relay(
        self, request: LeaseRequest, incoming: "asyncio.Queue[Request]", writer: asyncio.StreamWriter
    ) -> None:
        try:
            model = await self._find(request.model, request.key)
            lease = self._scheduler.lease(model, request.keep_alive_s, request.options, request.also, request.role)
            async with lease as runner:
                writer.write(encode(runner.facts))
                self._tell()
                await LeaseRelay(runner, writer).run(incoming)
        except SwellError as error:
            writer.write(encode(LoadFailed(*to_data(error))))
            await writer.drain()

    async def _find(self, name: str, key: str) -> Model:
        """Raises ModelNotFoundError if this node has no such model, or another one of that name."""
        model = await asyncio.to_thread(self._catalog.find, name, allow_path=True)
        if model_key(model) != key:
            raise ModelNotFoundError(name)
        return model

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reporting = asyncio.create_task(self._report(writer))
        try:
            async for wish in messages(reader, _wish_decoder):
                match wish:
                    case CountMemory():
                        rows = await self._scheduler.loaded()
                        writer.write(encode(self._reported(rows, wish.id)))
                    case UnloadModel():
                        with contextlib.suppress(SwellError):  # it can't be loaded either
                            await self._scheduler.unload(await self._find(wish.model, wish.key))
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)

    async def _report(self, writer: asyncio.StreamWriter) -> None:
        told: dict[str, Prefixes] = {}
        with self._events.subscribe() as events:
            while True:
                news = self._news
                rows = [_news_only(row, told) for row in await self._scheduler.describe(with_prefixes=True)]
                told = {row.model.key: told[row.model.key] for row in rows if row.model.key in told}
                report = self._reported(rows)
                writer.write(encode(msgspec.structs.replace(report, events=events.take())))
                await writer.drain()
                await asyncio.sleep(_PAUSE_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(REPORT_S):
                        await news.wait()

    def _on_event(self, event: ServerEvent) -> None:
        if isinstance(event, ReplicaEvent):
            self._events.publish(event)

    def _reported(self, rows: list[LoadedModel], report_id: int = 0) -> ReplicaReport:
        idle_bytes = sum(row.stats.kv_reclaimable_bytes for row in rows if row.stats is not None)
        return ReplicaReport(
            models=[_reported_model(row) for row in rows],
            free_bytes=max(0, self._scheduler.spare_bytes() + idle_bytes),
            load_free_bytes=max(0, self._scheduler.free_for_load_bytes() + idle_bytes),
            queued=self._scheduler.count_queued(),
            is_draining=self._is_draining,
            id=report_id,
        )


async def _read(reader: asyncio.StreamReader, incoming: "asyncio.Queue[Request]") -> None:
    """Returns when the front is gone. Raises ProtocolError."""
    async for request in requests(reader):
        incoming.put_nowait(request)


@contextlib.contextmanager
def _kept(tasks: set[asyncio.Task[None]], task: asyncio.Task[None]) -> Iterator[None]:
    tasks.add(task)
    try:
        yield
    finally:
        tasks.discard(task)


def _news_only(row: LoadedModel, told: dict[str, Prefixes]) -> LoadedModel:
    """The row without prefixes that are as they were `told` the last time: those of long windows are many."""
    before, now = told.get(row.model.key), row.prefixes
    if now is not None and before is not None and (now.tokens, now.hashes) == (before.tokens, before.hashes):
        return dataclasses.replace(row, prefixes=None)
    if now is not None:
        told[row.model.key] = now
    return row


def _reported_model(row: LoadedModel) -> ReplicaModel:
    return ReplicaModel(
        name=row.model.name,
        key=model_key(row.model),
        facts=row.facts,
        stats=row.stats,
        expires_at=row.expires_at,
        num_ctx=row.num_ctx,
        users=row.users,
        prefixes=row.prefixes,
    )
