"""A replica as its front knows it: what it reports, who has leased from it, and whether it is still there."""

import asyncio
import contextlib
import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from swell.errors import ProtocolError, RunnerLostError
from swell.fleet.directory import ReplicaAddress
from swell.fleet.lease_connection import LeaseConnection
from swell.fleet.messages import CountMemory, ReplicaModel, ReplicaReport, UnloadModel, WatchRequest
from swell.fleet.routing import ModelView, ReplicaView
from swell.metrics.events import ServerEvent
from swell.protocol.framing import encode, messages
from swell.protocol.messages import Prefixes, SlotState
from swell.protocol.prefixes import unpack_hashes

log = logging.getLogger(__name__)

CONNECT_S = 3.0
_NOTED_S = 2.0
"""For so long, what was sent to the replica counts as held: then its reports know it, if it is."""
_numbers = itertools.count(1)
_decoder = msgspec.msgpack.Decoder(ReplicaReport)


class Member:
    """One replica, from when it is found until it is lost, which `run` finds out. Used from the event loop only."""

    def __init__(
        self, address: ReplicaAddress, on_report: Callable[[], None], on_event: Callable[[ServerEvent], None]
    ) -> None:
        """`on_event` is told of what happens there."""
        self.address = address
        self.report: ReplicaReport | None = None
        """The latest one; None until the first has come, while the replica is doubted, and from when it is lost."""
        self._has_reported = False
        self._on_report = on_report
        self._on_event = on_event
        self._connection: LeaseConnection | None = None
        self._leases: set[LeaseConnection] = set()
        self._users = Counter[str]()
        """This front's leases, by the model's key, and how many of them there were at the latest report."""
        self._reported_users = Counter[str]()
        self._prefixes: dict[str, frozenset[int]] = {}
        """What slots hold by the model's key, as it was reported, and as it is thought to be."""
        self._held: dict[str, frozenset[int]] = {}
        self._noted: list[tuple[str, Sequence[int], float]] = []
        self._loaded: dict[str, tuple[int, float]] = {}
        """The slots of models that leases have found loaded, and when: the reports may not know yet."""
        self._counts: dict[int, asyncio.Future[ReplicaReport]] = {}

    async def run(self, silence_s: float) -> None:
        """Take in reports until the replica is gone, or has said nothing for `silence_s`; then break off all leases."""
        reason = "its connection ended"
        try:
            address = self.address
            self._connection = await LeaseConnection.open(address.host, address.port, min(CONNECT_S, silence_s))
            self._connection.writer.write(encode(WatchRequest(address.secret)))
            reports = messages(self._connection.reader, _decoder)
            while True:
                async with asyncio.timeout(silence_s):
                    self._take(await anext(reports))
        except (StopAsyncIteration, RunnerLostError, ConnectionError):
            pass
        except TimeoutError:
            reason = f"it has said nothing for {silence_s:g} s"
        except ProtocolError as error:
            reason = str(error)
        except asyncio.CancelledError:
            reason = ""
            raise
        finally:
            self._lose(reason)

    @property
    def leases(self) -> int:
        """How many this front has."""
        return len(self._leases)

    def view(self) -> ReplicaView | None:
        """What turns are routed by; None while it can't be said."""
        report = self.report
        if report is None:
            return None
        return ReplicaView(
            name=self.address.name,
            free_bytes=report.free_bytes,
            load_free_bytes=report.load_free_bytes,
            models=self._unreported() | {model.key: self._model_view(model) for model in report.models},
            queued=report.queued,
            is_draining=report.is_draining,
        )

    @contextlib.contextmanager
    def without(self, key: str) -> Iterator[None]:
        """Within the block, one lease less of the model with that `key` counts."""
        self._users[key] -= 1
        try:
            yield
        finally:
            self._users[key] += 1

    @contextlib.contextmanager
    def leasing(self, key: str, connection: LeaseConnection) -> Iterator[None]:
        """Within the block, `connection` is a lease of the model with that `key`. It is broken off with the replica."""
        self._leases.add(connection)
        self._users[key] += 1
        try:
            yield
        finally:
            self._leases.discard(connection)
            self._users[key] -= 1
            connection.kill()

    def note(self, key: str, blocks: Sequence[int]) -> None:
        """A prompt of these blocks is sent to the replica, whose reports will say so after a while."""
        self._noted.append((key, blocks, time.monotonic()))
        self._held[key] = self._held.get(key, frozenset()) | frozenset(blocks)

    def found(self, key: str, slots: int) -> None:
        """A lease has found a model loaded, with so many slots."""
        self._loaded[key] = slots, time.monotonic()

    def doubt(self) -> None:
        """A lease broke: no turn is routed here until the next report shows that the replica is there."""
        self.report = None

    def unload(self, name: str, key: str) -> None:
        """Have a model unloaded once its last request has ended."""
        if self._connection is not None and self.report is not None:
            self._connection.writer.write(encode(UnloadModel(name, key)))

    async def counted(self, limit_s: float) -> ReplicaReport | None:
        """A report in which memory is what the kernel counts; the latest one if none comes in time."""
        if self._connection is None or self.report is None:
            return self.report
        number = next(_numbers)
        answer: asyncio.Future[ReplicaReport] = asyncio.get_running_loop().create_future()
        self._counts[number] = answer
        try:
            self._connection.writer.write(encode(CountMemory(number)))
            async with asyncio.timeout(limit_s):
                return await answer
        except TimeoutError:
            return self.report
        finally:
            del self._counts[number]

    def _take(self, report: ReplicaReport) -> None:
        if report.id:
            if (answer := self._counts.get(report.id)) and not answer.done():
                answer.set_result(report)
            return
        self.report, self._has_reported = report, True
        for event in report.events:
            self._on_event(msgspec.structs.replace(event, replica=self.address.name, node=self.address.node))
        self._reported_users = self._users.copy()
        self._prefixes = {
            model.key: self._prefixes.get(model.key, frozenset()) if model.prefixes is None else _hashes(model.prefixes)
            for model in report.models
        }
        now_s = time.monotonic()
        self._noted = [noted for noted in self._noted if now_s - noted[2] < _NOTED_S]
        self._held = self._prefixes.copy()
        for key, blocks, _ in self._noted:
            self._held[key] = self._held.get(key, frozenset()) | frozenset(blocks)
        self._on_report()

    def _unreported(self) -> dict[str, ModelView]:
        """Models that are loaded of which no report knows yet."""
        now_s = time.monotonic()
        return {
            key: ModelView(slots=slots, busy=self._users[key], prefixes=self._held.get(key, frozenset()))
            for key, (slots, at_s) in self._loaded.items()
            if now_s - at_s < _NOTED_S
        }

    def _model_view(self, model: ReplicaModel) -> ModelView:
        slots = model.stats.slots if model.stats else model.facts.slots
        idle = [slot.used for slot in model.stats.slots_detail if slot.state is SlotState.IDLE] if model.stats else []
        others = max(0, model.users - self._reported_users[model.key])
        return ModelView(
            slots=slots,
            busy=others + self._users[model.key],
            prefixes=self._held.get(model.key, frozenset()),
            kept_tokens=min(idle, default=0),
        )

    def _lose(self, reason: str) -> None:
        """Break off all leases, for a `reason` or because the front leaves."""
        if reason and self._has_reported:
            log.warning("the replica %s on %s is lost: %s", self.address.name, self.address.node, reason)
        self.report = None
        for connection in [*self._leases, *filter(None, [self._connection])]:
            connection.kill()
        for answer in self._counts.values():
            if not answer.done():
                answer.set_exception(TimeoutError())


def _hashes(prefixes: Prefixes) -> frozenset[int]:
    return frozenset(one for hashes in prefixes.hashes for one in unpack_hashes(hashes))
