"""What the scheduler works on, without processes, memory or time: runners that are loaded when a test says so, memory
that is what it says, and a clock that it turns."""

import asyncio
import dataclasses
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import msgspec
from tests.waiting import settle

from swell.cache import StoreKind
from swell.devices import DeviceKind, DeviceUse
from swell.errors import RunnerLostError
from swell.memory.device_ledger import DeviceAccount, DeviceLedger
from swell.memory.ledger import Ledger
from swell.models.gguf import GgufHeader
from swell.models.manifest import Manifest
from swell.models.model import Model
from swell.models.weights import Weights
from swell.protocol.messages import (
    CacheCount,
    DevicesFound,
    Load,
    Loaded,
    NeedMemory,
    ShrinkLevel,
    SlotStats,
    Stats,
    ThreadStats,
    Totals,
)
from swell.scheduler.scheduler import Scheduler
from swell.settings import Settings
from swell.supervisor.runner import OnNotice, PlaceLayers, Runner

MB = 1_000_000
WEIGHTS_BYTES = 1000 * MB
FACTS = Loaded(
    context_max=4096,
    slots=1,
    store=StoreKind.RESERVED,
    store_reason="",
    add_bos=False,
    add_eos=False,
    bos_text="",
    eos_text="",
)


def model(name: str, weights_bytes: int = WEIGHTS_BYTES) -> Model:
    """A model without a file."""
    header = GgufHeader(
        3, {"general.architecture": "llama", "llama.context_length": 4096}, (), (), 0, 0, "", fills_middle=False
    )
    moment = datetime(2026, 8, 21, tzinfo=UTC)
    weights = Weights(path=Path(f"/{name}"), digest=name, size_bytes=weights_bytes, modified_at=moment, header=header)
    return Model(name, name, weights, Manifest())


def with_adapters(model_: Model, *names: str, adapter_bytes: int = MB) -> Model:
    """A model of the same weights that has adapters."""
    adapters = tuple(model(name, adapter_bytes).weights for name in names)
    return dataclasses.replace(model_, manifest=dataclasses.replace(model_.manifest, adapters=adapters))


class FakeRunner:
    """A runner that has been granted `granted_bytes` and uses `used_bytes` of them."""

    def __init__(self, order: Load, need: OnNotice) -> None:
        self.order = order
        self.facts = FACTS
        self.lost = asyncio.Event()
        self.process_id = 1
        self.has_answered = False
        self.loss = RunnerLostError(-9)
        self.dies_of_work: RunnerLostError | None = None
        """What becomes of it when it is given a text."""
        self.ledger = Ledger.open(order.ledger_fd)
        self.ledger.note_mapped(order.ledger_entry, WEIGHTS_BYTES if order.maps_weights else 0)
        self.shrunk: list[ShrinkLevel] = []
        self.devices: list[DeviceUse] = []
        self.device_account: DeviceAccount | None = None
        self.offered: list[int] = []
        self.stored_bytes = 0
        self.go = asyncio.Event()
        """Whether it saves its cells at once."""
        self.go.set()
        self._need = need
        self._least_level = ShrinkLevel.UNSTORED

    def grant(self, granted_bytes: int, used_bytes: int = 0) -> None:
        assert self.ledger.claim(self.order.ledger_entry, granted_bytes, None)
        self.ledger.note_used(self.order.ledger_entry, used_bytes)

    def gives_up_waiting_only(self) -> None:
        """All it has belongs to a generation."""
        self._least_level = ShrinkLevel.WAITING

    def is_idle_now(self) -> None:
        self._least_level = ShrinkLevel.UNSTORED

    def take(self, device: str, weights_bytes: int, kv_bytes: int = 0) -> None:
        """Have weights and a cache on a device, on which a page must have been opened."""
        self.device_account = DeviceLedger.open(os.dup(self.order.devices_fd)).account(device, self.order.ledger_entry)
        assert self.device_account.claim(weights_bytes + kv_bytes)
        use = DeviceUse(
            name=device,
            kind=DeviceKind.GPU,
            layers=1,
            weights_bytes=weights_bytes,
            kv_bytes=kv_bytes,
            compute_bytes=0,
            free_bytes=0,
            total_bytes=0,
        )
        self.devices = [use]

    def need(self, generation_id: int, needed_bytes: int, device: str = "") -> None:
        """As a runner does when a growth was refused with nothing free."""
        self._need(cast(Runner, self), NeedMemory(id=generation_id, missing_bytes=needed_bytes, device=device))

    async def shrink(self, level: ShrinkLevel) -> None:
        self._check()
        self.shrunk.append(level)
        if self._least_level is ShrinkLevel.WAITING and level is not ShrinkLevel.WAITING:
            return
        if level is not ShrinkLevel.UNSTORED and self.device_account is not None:
            self.device_account.release(self.devices[0].kv_bytes)
            self.devices = [msgspec.structs.replace(self.devices[0], kv_bytes=0)]
        granted, used, *_ = self.ledger.entry(self.order.ledger_entry)
        if level is not ShrinkLevel.UNSTORED:
            self.ledger.note_used(self.order.ledger_entry, 0)
            used = 0
        self.ledger.release(self.order.ledger_entry, granted - used)

    async def save_slots(self, path: Path) -> None:
        await self.go.wait()

    def offer(self, generation_id: int) -> None:
        self.offered.append(generation_id)

    def lose(self, loss: RunnerLostError) -> None:
        self.loss = loss
        self.lost.set()

    async def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        if self.dies_of_work is not None:
            self.lose(self.dies_of_work)
            raise self.dies_of_work
        return []

    async def stats(self, count: CacheCount = CacheCount.PAGES) -> Stats:
        self._check()
        return Stats(
            id=1,
            context_max=4096,
            context_used=0,
            context_active=0,
            context_allocated=0,
            context_initial=0,
            slots=1,
            slots_in_use=0,
            threads=ThreadStats(now=1, allowed=1, waited_ns=0),
            totals=Totals(),
            kv_granted_bytes=self._cache_bytes(),
            kv_resident_bytes=self.stored_bytes,
            kv_reserved_bytes=0,
            kv_reclaimable_bytes=self._reclaimable_bytes(),
            weights_bytes=WEIGHTS_BYTES,
            weights_resident_bytes=WEIGHTS_BYTES,
            other_bytes=50 * MB,
            resident_bytes=WEIGHTS_BYTES + 50 * MB,
            store=StoreKind.RESERVED,
            store_reason="",
            slots_detail=list[SlotStats](),
            devices=self.devices,
        )

    async def stop(self) -> None:
        self.lost.set()

    def _reclaimable_bytes(self) -> int:
        if self._least_level is ShrinkLevel.WAITING:
            return 0
        return self._cache_bytes()

    def _cache_bytes(self) -> int:
        return self.ledger.entry(self.order.ledger_entry).granted_bytes + sum(use.kv_bytes for use in self.devices)

    def _check(self) -> None:
        if self.lost.is_set():
            raise RunnerLostError(-9)


@dataclasses.dataclass
class Launcher:
    """Starts fake runners. Loads wait while `is_held`; `failures` are what the next ones of a path end with."""

    runners: list[FakeRunner] = dataclasses.field(default_factory=list)
    begun: list[str] = dataclasses.field(default_factory=list)
    aborted: list[str] = dataclasses.field(default_factory=list)
    failures: dict[str, list[Exception]] = dataclasses.field(default_factory=dict)
    deadly: dict[str, RunnerLostError] = dataclasses.field(default_factory=dict)
    """Paths of files that end their runners when these are given a text, and how."""
    found: DevicesFound = dataclasses.field(default_factory=lambda: DevicesFound([], []))
    go: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    async def start(self, order: Load, timeout_s: float, on_notice: OnNotice, place: PlaceLayers) -> Runner:
        self.begun.append(order.path)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.aborted.append(order.path)
            raise
        if failures := self.failures.get(order.path):
            raise failures.pop(0)
        place(self.found)
        runner = FakeRunner(order, on_notice)
        runner.dies_of_work = self.deadly.get(order.path)
        self.runners.append(runner)
        return cast(Runner, runner)

    def of(self, path: str) -> FakeRunner:
        """The latest runner of a model."""
        return next(runner for runner in reversed(self.runners) if runner.order.path == path)

    @property
    def alive(self) -> list[str]:
        return sorted(runner.order.path for runner in self.runners if not runner.lost.is_set())


@dataclasses.dataclass
class Memory:
    """What the system says."""

    free: int = 100_000 * MB

    def free_bytes(self) -> int:
        return self.free

    def total_bytes(self) -> int:
        return 100_000 * MB


class _Timer:
    def __init__(self, due: datetime, callback: Callable[[], object]) -> None:
        self.due = due
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class HandClock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self._now = datetime(2026, 8, 21, 12, tzinfo=UTC)
        self._timers: list[_Timer] = []

    def now(self) -> datetime:
        return self._now

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> _Timer:
        self._timers.append(timer := _Timer(self._now + timedelta(seconds=delay_s), callback))
        return timer

    @property
    def pending(self) -> int:
        return sum(timer.callback is not None for timer in self._timers)

    async def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        for timer in self._timers:
            if timer.due <= self._now and timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback()
        await settle()


class World:
    """A scheduler among fakes."""

    def __init__(self, *, holds_loads: bool = False, **settings: object) -> None:
        self.launcher = Launcher()
        if not holds_loads:
            self.launcher.go.set()
        self.memory = Memory()
        self.clock = HandClock()
        self.settings = dataclasses.replace(Settings(), **settings)  # type: ignore[arg-type]
        self.scheduler = Scheduler(self.settings, memory=self.memory, launch=self.launcher.start, clock=self.clock)
