"""A runner process as the server sees it, without one: it counts letters, and dies when the story says so."""

import asyncio
import contextlib
import dataclasses
import os
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import cast

from tests.scheduler.fakes import MB

from swell.cache import StoreKind
from swell.errors import KvGrowError, LoadDiedError, RunnerLostError, SwellError
from swell.loss import Loss
from swell.memory.ledger import Ledger
from swell.protocol.messages import (
    CacheCount,
    DevicesFound,
    Emitted,
    Finished,
    FinishReason,
    Generate,
    Load,
    Loaded,
    NeedMemory,
    Prefilled,
    ShrinkLevel,
    Stats,
    ThreadStats,
    Totals,
)
from swell.supervisor.runner import OnNotice, PlaceLayers, Runner
from swell.supervisor.stream import GenerationStream

WINDOW_TOKENS = 256
POISON_TOKENS = 13
"""A request for so many tokens ends each runner that begins with it."""
CELL_BYTES = MB
TOKEN_S = 0.01


class Moment(Enum):
    """When a runner may die."""

    START = "it starts"
    LOADED = "it says that the model is loaded"
    TOKENIZE = "it tokenises"
    EMBED = "it embeds"
    PREFILL = "it has read a prompt"
    TOKEN = "it has given a token"
    NEED = "it lacks memory"
    SHRINK = "it is to give memory back"
    SAVE = "it is to save its cells"
    STATS = "it is to say how it is"


@dataclasses.dataclass
class Fate:
    """Which runners die when: at the n-th time that a moment comes, wherever that is."""

    deaths: frozenset[tuple[Moment, int]] = frozenset()
    seen: Counter[Moment] = dataclasses.field(default_factory=Counter)
    died: int = 0

    def strikes(self, moment: Moment) -> bool:
        self.seen[moment] += 1
        is_due = (moment, self.seen[moment]) in self.deaths
        self.died += is_due
        return is_due


def letter(prompt: list[int], index: int) -> bytes:
    """What the model says: the alphabet, again and again, from where the prompt's last token points to."""
    return bytes([97 + (prompt[-1] + index) % 26])


class Process:
    """One runner. Its generations are tasks that share its slots."""

    def __init__(self, order: Load, need: OnNotice, fate: Fate, number: int) -> None:
        self.order = order
        self.process_id = number
        self.lost = asyncio.Event()
        self.has_answered = False
        self.loading_ns = (0, 0)
        self.facts = Loaded(
            context_max=WINDOW_TOKENS,
            slots=order.slots or 4,
            store=StoreKind.EAGER,
            store_reason="scripted",
            add_bos=False,
            add_eos=False,
            bos_text="",
            eos_text="",
        )
        self._need = need
        self._fate = fate
        self._ledger = Ledger.open(os.dup(order.ledger_fd))
        self._slots = asyncio.Semaphore(self.facts.slots)
        self._streams: dict[int, GenerationStream] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._offers: dict[int, asyncio.Event] = {}
        self._busy_bytes: dict[int, int] = {}
        self._cached_bytes = 0
        self.loss = RunnerLostError(-9, Loss.KILLED)

    # --- what the server asks --------------------------------------------------------------------------------------

    async def tokenize(
        self, text: str, *, add_special: bool, parse_special: bool, limit_tokens: int | None = None
    ) -> list[int]:
        await self._pass(Moment.TOKENIZE)
        return list(map(ord, text))

    async def embed(
        self, inputs: list[list[int]], *, cut_tokens: int = 0, threads: int | None = None
    ) -> list[list[float]]:
        await self._pass(Moment.EMBED)
        return [[float(len(tokens)), 1.0] for tokens in inputs]

    async def stats(self, count: CacheCount = CacheCount.PAGES) -> Stats:
        await self._pass(Moment.STATS)
        granted = self._granted_bytes()
        return Stats(
            id=1,
            context_max=WINDOW_TOKENS,
            context_used=0,
            context_active=0,
            context_allocated=0,
            context_initial=0,
            slots=self.facts.slots,
            slots_in_use=len(self._streams),
            threads=ThreadStats(now=1, allowed=1, waited_ns=0),
            totals=Totals(),
            kv_granted_bytes=granted,
            kv_resident_bytes=granted,
            kv_reserved_bytes=0,
            kv_reclaimable_bytes=self._cached_bytes,
            weights_bytes=MB,
            weights_resident_bytes=MB,
            other_bytes=MB,
            resident_bytes=2 * MB,
            store=StoreKind.EAGER,
            store_reason="scripted",
            slots_detail=[],
        )

    async def shrink(self, level: ShrinkLevel) -> None:
        await self._pass(Moment.SHRINK)
        if level is not ShrinkLevel.UNSTORED:
            self._release(self._cached_bytes)
            self._cached_bytes = 0

    async def save_slots(self, path: Path) -> int:
        await self._pass(Moment.SAVE)
        return 0

    def offer(self, generation_id: int) -> None:
        if event := self._offers.get(generation_id):
            event.set()

    @contextlib.contextmanager
    def generating(self, order: Generate) -> Iterator[GenerationStream]:
        self._check()
        number = id(order)
        stream = self._streams[number] = GenerationStream()
        self._tasks[number] = asyncio.create_task(self._generate(number, order, stream))
        try:
            yield stream
        finally:
            self._tasks.pop(number).cancel()
            del self._streams[number]

    def interrupt(self, error: SwellError) -> None:
        for stream in self._streams.values():
            stream.fail(error)

    async def stop(self) -> None:
        self.die()
        await asyncio.sleep(TOKEN_S)

    # --- what it does ----------------------------------------------------------------------------------------------

    def die(self) -> None:
        """As the kernel ends a process: at once, whatever it does, and its entry in the books stays."""
        if not self.lost.is_set():
            self.lost.set()
            self.interrupt(self.loss)
            self._ledger.close()

    async def _generate(self, number: int, order: Generate, stream: GenerationStream) -> None:
        try:
            async with self._slots:
                await self._answer(number, order, stream)
        except KvGrowError as error:
            stream.fail(error)
        except RunnerLostError:
            pass  # all streams know
        finally:
            if not self.lost.is_set():
                self._cached_bytes += self._busy_bytes.pop(number, 0)

    async def _answer(self, number: int, order: Generate, stream: GenerationStream) -> None:
        known = len(order.prompt) + len(order.emitted)
        await self._grow(number, known)
        if order.limit_tokens == POISON_TOKENS:
            self.die()
        await self._pass(Moment.PREFILL)
        stream.put(Prefilled(number, len(order.prompt), 0, 5))
        for index in range(len(order.emitted), order.limit_tokens):
            if known >= order.window_tokens and order.keep_tokens is None:
                break
            await self._grow(number, known)
            await self._pass(Moment.TOKEN)
            stream.put(Emitted(number, 97, letter(order.prompt, index)))
            known += 1
        self.has_answered = True
        stream.put(Finished(number, FinishReason.LENGTH, 6))

    async def _grow(self, number: int, cells: int) -> None:
        """Have memory for `cells`; asks for it once if there is none."""
        missing = cells * CELL_BYTES - self._busy_bytes.get(number, 0)
        if missing <= 0 or self._claim(number, missing):
            return
        self._offers[number] = asyncio.Event()
        self._need(cast(Runner, self), NeedMemory(id=number, missing_bytes=missing))
        await self._pass(Moment.NEED)
        await self._offers[number].wait()
        self._check()
        if not self._claim(number, missing):
            raise KvGrowError(cells, cells + 1, WINDOW_TOKENS, missing, 0)

    def _claim(self, number: int, needed_bytes: int) -> bool:
        own_bytes = min(needed_bytes, self._cached_bytes)
        if not self._ledger.claim(self.order.ledger_entry, needed_bytes - own_bytes, self.order.budget_bytes):
            return False
        self._cached_bytes -= own_bytes
        self._busy_bytes[number] = self._busy_bytes.get(number, 0) + needed_bytes
        self._ledger.note_used(self.order.ledger_entry, self._granted_bytes())
        return True

    def _release(self, released_bytes: int) -> None:
        self._ledger.note_used(self.order.ledger_entry, self._granted_bytes() - released_bytes)
        self._ledger.release(self.order.ledger_entry, released_bytes)

    def _granted_bytes(self) -> int:
        return self._ledger.entry(self.order.ledger_entry).granted_bytes

    async def _pass(self, moment: Moment) -> None:
        """Time passes; then the runner may be dead."""
        self._check()
        await asyncio.sleep(TOKEN_S)
        if self._fate.strikes(moment):
            self.die()
        self._check()

    def _check(self) -> None:
        if self.lost.is_set():
            raise self.loss


@dataclasses.dataclass
class Launcher:
    """Starts processes, which takes a while."""

    fate: Fate
    started: list[Process] = dataclasses.field(default_factory=list)

    async def start(self, order: Load, timeout_s: float, on_notice: OnNotice, place: PlaceLayers) -> Runner:
        process = Process(order, on_notice, self.fate, len(self.started))
        self.started.append(process)
        try:
            for moment in (Moment.START, Moment.LOADED):
                await asyncio.sleep(10 * TOKEN_S)
                if self.fate.strikes(moment):
                    raise LoadDiedError("signal: killed", -9)
                place(DevicesFound([], []))
        except BaseException:
            process.die()
            raise
        return cast(Runner, process)

    @property
    def alive(self) -> int:
        return sum(not process.lost.is_set() for process in self.started)
