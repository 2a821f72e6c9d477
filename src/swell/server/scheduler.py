"""Which models are loaded: loads them on demand, keeps them as long as they are wanted, unloads them.

A model is known here by its weights' path: two names of one file share a runner.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from swell.protocol.messages import Load
from swell.server.models.model import Model
from swell.server.residency import LoadedModel, Residency
from swell.server.runner import Runner
from swell.settings import Settings

__all__ = ["LoadedModel", "Scheduler"]


class Scheduler:
    """Owns all runners. Used from the event loop only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._residencies: dict[Path, Residency] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def lease(self, model: Model, keep_alive_s: float | None = None) -> AsyncIterator[Runner]:
        """A runner with `model`, loaded first if need be, and kept loaded while inside.

        `keep_alive_s` replaces how long it stays afterwards; None leaves that as it is. Raises the error that the
        load ended with.
        """
        residency = self._residencies.get(model.path) or self._load(model)
        if keep_alive_s is not None:
            residency.keep_alive_s = keep_alive_s
        residency.enter()
        try:
            yield await residency.runner()
        finally:
            residency.leave()

    async def unload(self, model: Model) -> None:
        """Unload `model` once its last request has ended; fine if it isn't loaded."""
        if residency := self._residencies.get(model.path):
            residency.keep_alive_s = 0
            residency.expire_if_unused()

    async def loaded(self) -> list[LoadedModel]:
        """All models whose runners are ready, the one that stays longest first."""
        rows = await asyncio.gather(*(residency.describe() for residency in self._residencies.values()))
        return sorted((row for row in rows if row is not None), key=lambda row: row.expires_at, reverse=True)

    async def close(self) -> None:
        """End all runners, and wait until they have ended."""
        for residency in list(self._residencies.values()):
            residency.stop()
        await asyncio.gather(*self._leaving)

    def _load(self, model: Model) -> Residency:
        settings = self._settings
        load = Load(
            path=str(model.path),
            log_level=settings.log_level,
            threads=_compute_threads(),
            slots=settings.num_parallel,
            eager_tokens=settings.context_length,
            dynamic=settings.kv_dynamic,
            initial_tokens=settings.kv_initial_tokens,
            grow_tokens=settings.kv_grow_tokens,
        )
        residency = self._residencies[model.path] = Residency(
            model,
            load,
            load_timeout_s=settings.load_timeout_s,
            keep_alive_s=settings.keep_alive_s,
            on_stopped=self._forget,
        )
        return residency

    def _forget(self, residency: Residency) -> None:
        if self._residencies.get(residency.model.path) is residency:
            del self._residencies[residency.model.path]
        self._leaving.add(stopping := residency.stop())
        stopping.add_done_callback(self._leaving.discard)


def _compute_threads() -> int:
    """One thread per physical core that this process may use; a second one on the same core only gets in its way."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, psutil.cpu_count(logical=False) or usable))
