"""The front's scheduler: the same interface as that of one machine, over all replicas of the fleet."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Iterable
from pathlib import Path

from swell.errors import SwellError
from swell.fleet.directory import Directory
from swell.fleet.lease import FleetLease
from swell.fleet.member import Member
from swell.fleet.membership import Membership
from swell.fleet.messages import LeaseRequest, ReplicaReport
from swell.fleet.model_key import model_key
from swell.metrics.observer import Metrics
from swell.models.catalog import Catalog
from swell.models.model import Model
from swell.options import Options
from swell.scheduler.holds import ModelHolds
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.residency import LoadedModel, ReplicaPlace
from swell.scheduler.runner_key import RunnerRole
from swell.scheduler.schedules import ReplicaNumbers
from swell.settings import Settings
from swell.sizes.recent import RecentSizes

log = logging.getLogger(__name__)

_COUNT_S = 1.0
"""How long `ps` waits for a replica to count."""
_MODELS_KEPT = 100
_SPREAD_AGAIN_S = 10.0
_NO_OPTIONS = Options()
_ANY_LOAD = LoadOptions()


class FleetScheduler:
    """Leases runners of replicas, each of which decides for itself what it loads. Used from the event loop only."""

    def __init__(self, settings: Settings, directory: Directory, catalog: Catalog) -> None:
        """`catalog` knows the models that are offered; replicas must have the same ones."""
        self.metrics = Metrics()
        self.sizes = RecentSizes()
        self.holds = ModelHolds()
        self._settings = settings
        self._catalog = catalog
        self._membership = Membership(directory, settings.fleet_silence_s, self.metrics.report)
        self._leases: set[FleetLease] = set()
        self._models: dict[str, Model] = {}
        """By their keys, those that were ever leased here or found on a replica."""
        self._spreading: dict[str, asyncio.Task[None]] = {}

    @contextlib.asynccontextmanager
    async def lease(
        self,
        model: Model,
        keep_alive_s: float | None = None,
        options: Options = _NO_OPTIONS,
        also: LoadOptions = _ANY_LOAD,
        role: RunnerRole = RunnerRole.SHARED,
    ) -> AsyncIterator[FleetLease]:
        """A runner with `model` on some replica; see `Scheduler.lease`."""
        key = model_key(model)
        self._models[key] = model
        request = LeaseRequest(
            secret="",
            model=model.name,
            key=key,
            keep_alive_s=keep_alive_s,
            options=options,
            also=also,
            role=role,
        )
        lease = FleetLease(self._membership, model, request)
        self._leases.add(lease)
        try:
            await lease.begin()
            self._spread(model, request)
            yield lease
        finally:
            await lease.end()
            self._leases.discard(lease)
            self._forget_unused()
            self._membership.notify()

    def _spread(self, model: Model, request: LeaseRequest) -> None:
        """Have another replica load the model, if those that have it are busy."""
        member = self._membership.spread(request.key, model.weights_bytes)
        if member is not None and request.key not in self._spreading:
            self._spreading[request.key] = asyncio.create_task(self._load_at(member, model, request))

    def _forget_unused(self) -> None:
        """Files are models, too, and there may be any number of them."""
        if len(self._models) > _MODELS_KEPT:
            reports = [member.report for member in self._membership.members()]
            used = {model.key for report in reports if report for model in report.models}
            self._models = {key: model for key, model in self._models.items() if key in used}

    async def _load_at(self, member: Member, model: Model, request: LeaseRequest) -> None:
        lease = FleetLease(self._membership, model, request)
        try:
            await lease.begin_at(member)
        except SwellError as error:
            log.info("%s can't load %s, too: %s", member.address.name, model.name, error)
            await asyncio.sleep(_SPREAD_AGAIN_S)
        finally:
            await lease.end()
            del self._spreading[request.key]

    async def unload(self, model: Model) -> None:
        """Unload `model` on all replicas once its last requests there have ended."""
        for member in self._membership.members():
            member.unload(model.name, model_key(model))

    async def loaded(self) -> list[LoadedModel]:
        """All models on all replicas, the one that stays longest first; memory is what the kernels count."""
        self._membership.follow()
        members = self._membership.members()
        reports = await asyncio.gather(*(member.counted(_COUNT_S) for member in members))
        rows = await self._rows(zip(members, reports, strict=True))
        return sorted(rows, key=lambda row: row.expires_at, reverse=True)

    async def describe(self) -> list[LoadedModel]:
        """The same as it was reported last."""
        self._membership.follow()
        return await self._rows((member, member.report) for member in self._membership.members())

    def replicas(self) -> list[ReplicaNumbers]:
        """All that have reported."""
        return [
            ReplicaNumbers(
                replica=member.address.name,
                node=member.address.node,
                free_bytes=report.free_bytes,
                requests=member.leases,
                queued=report.queued,
                is_draining=report.is_draining,
            )
            for member in self._membership.members()
            if (report := member.report) is not None
        ]

    def count_queued(self) -> int:
        """How many requests wait for a load on some replica."""
        return sum(member.report.queued for member in self._membership.members() if member.report)

    def load_options_of(self, model: Model) -> LoadOptions | None:
        """None: each replica has loaded it as it could."""
        return None

    def files_in_use(self) -> set[Path]:
        """The files of models that some replica has loaded, since one on this node has them from here, or that requests
        in progress ask for.
        """
        reports = [member.report for member in self._membership.members()]
        keys = {model.key for report in reports if report for model in report.models}
        loaded = {path for key in keys if (model := self._models.get(key)) for path in model.paths}
        return self.holds.files() | loaded

    def retire(self, files: Collection[Path]) -> None:
        """Unload the models of which this node had `files` on all replicas."""
        for key, model in list(self._models.items()):
            if any(path in files for path in model.paths):
                for member in self._membership.members():
                    member.unload(model.name, key)
                del self._models[key]

    def count_idle(self, *, but: Model) -> int:
        """0: replicas make room for themselves."""
        return 0

    def count_busy(self) -> int:
        """How many requests of this front have a runner or wait for one."""
        return len(self._leases)

    async def evict_idle(self, *, but: Model) -> None:
        """Nothing: see `count_idle`."""

    async def wait_for_change(self) -> None:
        """Returns when a replica has reported, or a request has ended, or after the time set for waiting."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.kv_wait_s):
                await self._membership.change()

    def check_integrity(self) -> list[str]:
        """What is wrong with the books."""
        leases = sum(member.leases for member in self._membership.members())
        wanted = len(self._leases) + len(self._spreading)
        return [f"{leases} leases are for {wanted} requests"] if leases > 2 * wanted else []  # one that moves has two

    def interrupt(self) -> None:
        """End everything that is being computed, because the server stops: ServerStoppingError."""
        for lease in self._leases:
            lease.interrupt()

    async def close(self) -> None:
        """Leave the fleet; the replicas go on."""
        for task in self._spreading.values():
            task.cancel()
        await asyncio.gather(*self._spreading.values(), return_exceptions=True)
        await self._membership.close()

    async def _rows(self, found: Iterable[tuple[Member, ReplicaReport | None]]) -> list[LoadedModel]:
        rows = []
        for member, report in found:
            for reported in report.models if report else ():
                if (model := await self._model(reported.key, reported.name)) is not None:
                    rows.append(
                        LoadedModel(
                            model,
                            reported.facts,
                            reported.stats,
                            reported.expires_at.astimezone(),
                            reported.num_ctx,
                            users=reported.users,
                            place=ReplicaPlace(member.address.name, member.address.node),
                        )
                    )
        return rows

    async def _model(self, key: str, name: str) -> Model | None:
        """The model of that key; None if this node has none of that name, or another one."""
        if key not in self._models:
            try:
                model = await asyncio.to_thread(self._catalog.find, name, allow_path=False)
            except SwellError:
                return None
            if model_key(model) != key:
                return None
            self._models[key] = model
        return self._models[key]
