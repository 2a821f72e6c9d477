"""What turns and the API want of a scheduler: one for this machine, or one for a fleet of them."""

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import msgspec

from swell.metrics.observer import Metrics
from swell.models.model import Model
from swell.options import Options
from swell.scheduler.holds import ModelHolds
from swell.scheduler.load_options import LoadOptions
from swell.scheduler.residency import LoadedModel
from swell.scheduler.runner_key import RunnerRole
from swell.sizes.recent import RecentSizes
from swell.supervisor.leased import LeasedRunner


class ReplicaNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """A replica of a fleet: the memory that windows could still have there, how many requests have leased one of its
    models from here, how many wait for a load, and whether it takes no more of them.
    """

    replica: str
    node: str
    free_bytes: int
    requests: int
    queued: int
    is_draining: bool


class Schedules(Protocol):
    """Owns runners, and leases them out. Used from the event loop only. What each method does says `Scheduler`."""

    metrics: Metrics
    sizes: RecentSizes
    holds: ModelHolds

    def lease(
        self,
        model: Model,
        keep_alive_s: float | None = None,
        options: Options = ...,
        also: LoadOptions = ...,
        role: RunnerRole = ...,
    ) -> AbstractAsyncContextManager[LeasedRunner]:
        """A runner with `model` in `role`, loaded as `options` and `also` want it."""

    async def unload(self, model: Model) -> None:
        """Unload `model` once its last request has ended."""

    async def loaded(self) -> list[LoadedModel]:
        """All models that are loaded, the one that stays longest first."""

    async def describe(self) -> list[LoadedModel]:
        """The same for who looks on often."""

    def replicas(self) -> Sequence[ReplicaNumbers]:
        """Those of a fleet; none where there is only this machine."""

    def count_queued(self) -> int:
        """How many requests wait for a model that must be loaded or is being loaded."""

    def load_options_of(self, model: Model) -> LoadOptions | None:
        """How `model` is loaded; None if it isn't, or if that isn't known here."""

    def files_in_use(self) -> set[Path]:
        """The files of this machine that loaded models and requests in progress may need again. Safe to ask from any
        thread.
        """

    def retire(self, files: Collection[Path]) -> None:
        """Unload the models that use any of `files` once their last requests have ended."""

    def count_idle(self, *, but: Model) -> int:
        """How many models nobody uses, not counting one."""

    def count_busy(self) -> int:
        """How many requests use some model."""

    async def evict_idle(self, *, but: Model) -> None:
        """Unload all models that nobody uses, except one; returns when they are gone."""

    async def wait_for_change(self) -> None:
        """Returns when a request has ended, or a model was loaded or unloaded, or after a time that is set."""

    def check_integrity(self) -> list[str]:
        """What is wrong with the books: nothing, unless there is a bug."""

    def interrupt(self) -> None:
        """End everything that is being computed, because the server stops."""

    async def close(self) -> None:
        """End or give back all runners."""
