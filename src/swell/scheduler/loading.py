"""Loading a model: what it will take, the message to its runner, the tries, and what each of them teaches."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import msgspec

from swell.clock import Clock
from swell.devices import Placement
from swell.errors import ContextError, InvalidRequestError, SwellError
from swell.metrics.events import UnloadCause
from swell.models.model import Model
from swell.protocol.messages import DevicesFound, Load
from swell.scheduler.accounts import Accounts
from swell.scheduler.crashes import LoadCrashes
from swell.scheduler.estimate import MemoryEstimate, MemoryEstimator
from swell.scheduler.first_grant import FirstGrant, first_grant
from swell.scheduler.handover import Handover
from swell.scheduler.load_message import estimated_memory, estimated_needs, load_message
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.load_plan import LoadPlan
from swell.scheduler.placement.placer import Placer
from swell.scheduler.proof import prove
from swell.scheduler.residencies import Residencies
from swell.scheduler.residency import LoadedModel, Residency
from swell.scheduler.runner_key import RunnerKey
from swell.settings import Settings
from swell.sizes.recent import RecentSizes
from swell.supervisor.runner import OnNotice, PlaceLayers, Runner

log = logging.getLogger(__name__)

Launch = Callable[[Load, float, OnNotice, PlaceLayers], Awaitable[Runner]]
"""Starts a runner with a message, within so many seconds; is told of its notices, and asked what goes where."""


class ModelLoader:
    """Starts runners, again and again if that helps, and learns from every load."""

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        residencies: Residencies,
        launch: Launch,
        clock: Clock,
        sizes: RecentSizes,
    ) -> None:
        """`sizes` are those of turns, from which first grants may be learned."""
        self.placer = Placer(settings)
        self._settings = settings
        self._accounts = accounts
        self._residencies = residencies
        self._launch = launch
        self._sizes = sizes
        self._estimator = MemoryEstimator()
        self._crashes = LoadCrashes(clock)
        self._handovers: dict[Residency, Handover] = {}
        self._found = DevicesFound([], [])
        """By the latest load."""

    def plan(self, model: Model, key: RunnerKey, options: LoadOptions) -> LoadPlan:
        """An entry in the books and an estimate for a runner that is loaded as `options`, which are complete, say."""
        expected = self.expected(model, options)
        log.info("loading %s, which may take %d MB", model.name, expected.total_bytes // 1_000_000)
        return LoadPlan(
            model=model,
            key=key,
            options=options,
            books=self._accounts.open(),
            first_grant=self._first_grant(model),
            expected=expected,
        )

    def expected(self, model: Model, options: LoadOptions) -> MemoryEstimate:
        """What a runner will take of host memory, by the header, by what earlier loads really took, and by the room on
        the devices that the latest load has found.
        """
        grant = self._first_grant(model)
        taken = self._estimator.correct(model.key, estimated_memory(model, options, self._settings, grant))
        if not self._found.devices:
            return taken
        layers = estimated_needs(model, options, self._settings, grant)
        with contextlib.suppress(InvalidRequestError):  # which the load will raise
            foreseen = self.placer.foresee(model, layers, options, self._accounts.left_of(self._found).devices)
            return taken.beside(foreseen, model.layers)
        return taken

    def check(self, model: Model, options: LoadOptions) -> None:
        """Raises LoadCrashedError where a load would only crash again."""
        self._crashes.check(model, options)

    async def start(self, residency: Residency, on_notice: OnNotice) -> Runner:
        """Start the runner; while memory is what that fails for, with less of the devices or without an idle model.

        Raises the error of the last try.
        """
        plan = residency.plan
        message = load_message(plan, self._settings, self._handovers.get(residency))
        cautious = msgspec.structs.replace(message, initial_tokens=plan.first_grant.counted_tokens)
        placing = self.placer.place(plan.model, cautious, plan.options, self._residencies.held_by_idle)

        def decide(found: DevicesFound) -> Placement:
            self._found = found
            return placing.decide(self._accounts.limited(found))

        while True:
            try:
                runner = await self._launch(message, self._settings.load_timeout_s, on_notice, decide)
                if self._crashes.suspects(plan.model, plan.options):
                    await prove(runner)
                self._crashes.note_loaded(plan.model, plan.options)
                residency.placed = placing.compare(runner.facts.devices)
                return runner
            except SwellError as error:
                self._accounts.clear(plan.books)
                if isinstance(error, ContextError) and message != cautious:
                    log.warning("%s; granting no more than is usual", error)
                    message = cautious
                    continue
                self._crashes.note(plan.model, plan.options, error)
                if placing.retreats(error):
                    continue
                evicted = self._residencies.victim_of(error)
                if evicted is None:
                    raise
                log.warning("%s; unloading %s and trying again", error, evicted.model.name)
                await asyncio.shield(evicted.stop(UnloadCause.EVICTED))

    def _first_grant(self, model: Model) -> FirstGrant:
        return first_grant(model, self._settings, self._sizes.of(model.key_digest))

    def note_end(self, residency: Residency) -> None:
        """Learn from how a runner ended that was loaded."""
        if residency.loss is not None:
            self._crashes.note_lost(residency.plan.model, residency.plan.options, residency.loss)

    async def measure(self, residency: Residency) -> LoadedModel | None:
        """A row of `ps`, from which later estimates learn. None while there is nothing to describe."""
        row = await residency.describe()
        if row is not None and row.stats is not None:
            plan = residency.plan
            self._estimator.note(plan.key.model, plan.expected, row.stats.other_bytes)
        return row

    # --- cells for the next runner of a model --------------------------------------------------------------------

    async def may_hand_over(self, residency: Residency, options: LoadOptions) -> bool:
        """Whether a runner loaded as `options` can use the cells of this one, and there is room for them meanwhile."""
        row = await self.measure(residency)
        if row is None or row.stats is None or residency.plan.options.cache_type != options.cache_type:
            return False
        return 0 < row.stats.kv_resident_bytes < self._accounts.spare_bytes() // 2

    def hand_over(self, residency: Residency, handover: Handover) -> None:
        """Give the runner of `residency` the cells in `handover` when it starts."""
        self._handovers[residency] = handover

    def close_handover(self, residency: Residency) -> None:
        """The runner has read the cells, or needs them no more."""
        if (handover := self._handovers.pop(residency, None)) is not None:
            handover.close()

    def handovers(self) -> set[Residency]:
        """The residencies that are still given cells."""
        return set(self._handovers)
