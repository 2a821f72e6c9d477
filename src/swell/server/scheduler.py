"""Which models are loaded: loads them on demand, keeps them as long as they are wanted, unloads them.

A model is known here by its weights' path: two names of one file share a runner.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from swell.memory.ledger import Ledger
from swell.memory.probe import MemoryProbe
from swell.protocol.messages import Load
from swell.server.models.model import Model
from swell.server.residency import LoadedModel, Residency
from swell.server.runner import Runner
from swell.settings import Settings

__all__ = ["LoadedModel", "Scheduler"]

HEADROOM_MIN_BYTES = 16 << 20
"""More than a runner takes beside weights, cells and compute buffers once it works: in real control groups 4 MiB were
always enough for a small model, and 10 MiB for one with a vocabulary of 49,152."""

RUNNERS_MAX = 256
"""Entries of the ledger; far more than processes that fit on a machine."""


class Scheduler:
    """Owns all runners. Used from the event loop only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._residencies: dict[Path, Residency] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._probe = MemoryProbe()
        self._ledger = Ledger.create(RUNNERS_MAX)
        self._free_entries = list(range(RUNNERS_MAX))

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
        self._ledger.close()

    def _load(self, model: Model) -> Residency:
        settings, total_bytes = self._settings, self._probe.total_bytes()
        entry = self._free_entries.pop()
        load = Load(
            path=str(model.path),
            log_level=settings.log_level,
            threads=_compute_threads(),
            slots=settings.num_parallel,
            eager_tokens=settings.context_length,
            store=settings.store_kind,
            cache_type=settings.kv_cache_type,
            flash_attention=settings.flash_attention,
            initial_tokens=settings.kv_initial_tokens,
            grow_tokens=settings.kv_grow_tokens,
            idle_shrink_s=settings.kv_idle_shrink_s,
            ledger_fd=self._ledger.fileno(),
            ledger_entry=entry,
            budget_bytes=settings.kv_budget.limit_bytes(total_bytes) if settings.kv_budget else None,
            headroom_bytes=max(settings.kv_headroom.limit_bytes(total_bytes), HEADROOM_MIN_BYTES),
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
        self._leaving.add(leaving := asyncio.create_task(self._leave(residency)))
        leaving.add_done_callback(self._leaving.discard)

    async def _leave(self, residency: Residency) -> None:
        await residency.stop()
        self._ledger.clear(residency.ledger_entry)  # it can't use any more what it was granted
        self._free_entries.append(residency.ledger_entry)


def _compute_threads() -> int:
    """One thread per physical core that this process may use; a second one on the same core only gets in its way."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, psutil.cpu_count(logical=False) or usable))
