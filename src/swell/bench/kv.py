"""`swell bench kv`: the stores and llama.cpp's own server side by side in one run."""

import dataclasses
import datetime
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from swell.bench.child import call
from swell.bench.machine import Machine, machine, versions
from swell.bench.plan import (
    GROWTH_BLOCK_TOKENS,
    LEAST_EFFORT,
    PEER,
    QUICK_TURNS,
    SPEED_STEPS,
    SUBJECTS,
    TURNS,
    Effort,
    ReadingCost,
    Series,
    effort,
    fit_cost,
    plan,
    token_counts,
    turn_counts,
)
from swell.bench.results import (
    GrowthRequest,
    GrowthResult,
    PeerRequest,
    Setup,
    SpeedRequest,
    SpeedResult,
    TurnsRequest,
    TurnsResult,
    WasteRequest,
    WasteResult,
)
from swell.cache import INITIAL_TOKENS, StoreKind
from swell.settings import Settings

LEAST_WINDOW_TOKENS = 512
_CALIBRATION_TOKENS = [256, 512, 1024, 1280]
_PEER_CALIBRATION_TOKENS = [64, 192]
_SMALLEST_TOKENS = 256  # a context can't be smaller
_SPEED_BLOCK_TOKENS = 256
_SHALLOW_TOKENS = 128

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """`model` is called `name` in the results. `budget_s` is the time for all; `math.inf` measures everything.

    `quick` takes no more samples than show that all works.
    """

    model: Path
    name: str
    window_tokens: int
    slot_counts: tuple[int, ...] = (1, 4, 8)
    budget_s: float = 600.0
    threads: int = 2
    with_peer: bool = True
    quick: bool = False

    @property
    def subjects(self) -> tuple[str, ...]:
        return SUBJECTS if self.with_peer else tuple(subject for subject in SUBJECTS if subject != PEER)


class SeriesResult(msgspec.Struct, frozen=True, kw_only=True):
    subject: str
    slots: int
    token_counts: tuple[int, ...]
    result: WasteResult


class CreationResult(msgspec.Struct, frozen=True, kw_only=True):
    subject: str
    slots: int
    results: list[WasteResult]


class TurnsSeries(msgspec.Struct, frozen=True, kw_only=True):
    subject: str
    prompt_tokens: int
    result: TurnsResult


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured. `smallest_peer` is llama.cpp's server with the smallest window and one slot."""

    command: str
    date: str
    duration_s: float
    model: str
    window_tokens: int
    threads: int
    versions: dict[str, str]
    machine: Machine
    cell_bytes: int
    token_counts: tuple[int, ...]
    smallest_peer: WasteResult | None
    waste: list[SeriesResult]
    growth: dict[str, GrowthResult]
    creation: list[CreationResult]
    speed: SpeedResult
    turns: list[TurnsSeries] = []


def measure(options: BenchOptions, command: str, say: Say) -> Report:
    """Measure everything, telling `say` what comes next. Raises BenchError."""
    start, described = time.monotonic(), machine()
    say("measuring how fast tokens are read")
    costs, smallest, cell_bytes = _calibrate(options)
    amount = LEAST_EFFORT if options.quick else effort(costs[StoreKind.EAGER.value], options.budget_s)
    amount = dataclasses.replace(amount, deep_tokens=min(amount.deep_tokens, options.window_tokens // 2))
    say("measuring speed before and after growth")
    speed = call("speed", _speed_request(options, amount), SpeedResult)
    growth = {}
    for kind in (StoreKind.RESERVED, StoreKind.COPIED):
        say(f"measuring what growth costs: {kind.value}")
        growth[kind.value] = call("growth", _growth_request(options, kind, amount), GrowthResult)
    say("measuring creation")
    creation = [_create(options, subject, slots, amount) for slots in _ends(options) for subject in options.subjects]
    turns = []
    for prompt_tokens in turn_counts(options.window_tokens, costs[StoreKind.EAGER.value], options.budget_s):
        say(f"measuring turns of a conversation that begins with {prompt_tokens} tokens")
        turns += _hold(options, prompt_tokens)
    counts = token_counts(options.window_tokens)
    left_s = options.budget_s - (time.monotonic() - start)
    waste = []
    for series in plan(options.subjects, options.slot_counts, counts, costs, left_s):
        say(f"measuring memory: {series.subject}, {series.slots} x {_listed(series.token_counts)} tokens")
        waste.append(_measure_series(options, series))
    return Report(
        command=command,
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        duration_s=round(time.monotonic() - start, 1),
        model=options.name,
        window_tokens=options.window_tokens,
        threads=options.threads,
        versions=versions(),
        machine=described,
        cell_bytes=cell_bytes,
        token_counts=counts,
        smallest_peer=smallest,
        waste=waste,
        growth=growth,
        creation=creation,
        speed=speed,
        turns=turns,
    )


def write(report: Report, path: Path) -> None:
    """Write `report` as JSON, whole or not at all. Raises OSError."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(report) + b"\n")
    os.replace(partial, path)


def _calibrate(options: BenchOptions) -> tuple[dict[str, ReadingCost], WasteResult | None, int]:
    """What reading a token costs each subject, the smallest server, and the bytes of a cell."""
    if math.isinf(options.budget_s):  # nothing has to be planned
        return _uncalibrated(options)
    window = max(min(options.window_tokens, _CALIBRATION_TOKENS[-1]), _SMALLEST_TOKENS)
    tokens = [count for count in _CALIBRATION_TOKENS if count <= window]
    own = call("waste", _waste_request(options, StoreKind.EAGER.value, 1, window, tokens), WasteResult)
    costs = dict.fromkeys(SUBJECTS, _cost(own, tokens))
    if not options.with_peer:
        return costs, None, own.cell_bytes
    request = _peer_request(options, 1, _SMALLEST_TOKENS, _PEER_CALIBRATION_TOKENS)
    peer = call("peer", request, WasteResult)
    costs[PEER] = _cost(peer, _PEER_CALIBRATION_TOKENS)
    # how much slower it gets with depth can't be seen in so small a window
    costs[PEER] = dataclasses.replace(costs[PEER], depth_s=costs[StoreKind.EAGER.value].depth_s)
    return costs, peer, own.cell_bytes


def _uncalibrated(options: BenchOptions) -> tuple[dict[str, ReadingCost], WasteResult | None, int]:
    eager = _waste_request(options, StoreKind.EAGER.value, 1, _SMALLEST_TOKENS, [])
    own = call("waste", eager, WasteResult)
    peer = None
    if options.with_peer:
        peer = call("peer", _peer_request(options, 1, _SMALLEST_TOKENS, []), WasteResult)
    return dict.fromkeys(SUBJECTS, ReadingCost(token_s=0.0, depth_s=0.0)), peer, own.cell_bytes


def _cost(result: WasteResult, tokens: Sequence[int]) -> ReadingCost:
    return fit_cost([(count, stage.duration_s) for count, stage in zip(tokens, result.stages, strict=False)])


def _hold(options: BenchOptions, prompt_tokens: int) -> list[TurnsSeries]:
    """The same conversation with each subject that computes answers."""
    request = TurnsRequest(
        model=str(options.model),
        threads=options.threads,
        prompt_tokens=prompt_tokens,
        turns=QUICK_TURNS if options.quick else TURNS,
    )
    modules = {StoreKind.RESERVED.value: "turns"} | ({PEER: "peer_turns"} if options.with_peer else {})
    return [
        TurnsSeries(subject=subject, prompt_tokens=prompt_tokens, result=call(module, request, TurnsResult))
        for subject, module in modules.items()
    ]


def _ends(options: BenchOptions) -> list[int]:
    """The least and the most slots."""
    return sorted({min(options.slot_counts), max(options.slot_counts)})


def _create(options: BenchOptions, subject: str, slots: int, amount: Effort) -> CreationResult:
    series = Series(subject=subject, slots=slots, token_counts=())
    results = [_measure_series(options, series).result for _ in range(amount.creations)]
    return CreationResult(subject=subject, slots=slots, results=results)


def _measure_series(options: BenchOptions, series: Series) -> SeriesResult:
    window, counts = options.window_tokens, list(series.token_counts)
    if series.subject == PEER:
        result = call("peer", _peer_request(options, series.slots, window, counts), WasteResult)
    else:
        request = _waste_request(options, series.subject, series.slots, window, counts)
        result = call("waste", request, WasteResult)
    return SeriesResult(subject=series.subject, slots=series.slots, token_counts=series.token_counts, result=result)


def _waste_request(options: BenchOptions, subject: str, slots: int, window: int, counts: list[int]) -> WasteRequest:
    defaults = Settings()
    setup = Setup(
        model=str(options.model),
        kind=StoreKind(subject),
        slots=slots,
        window_tokens=window,
        threads=options.threads,
        initial_tokens=INITIAL_TOKENS,
        block_tokens=defaults.kv_grow_tokens,
    )
    return WasteRequest(setup=setup, token_counts=counts)


def _peer_request(options: BenchOptions, slots: int, window: int, counts: list[int]) -> PeerRequest:
    return PeerRequest(
        model=str(options.model), slots=slots, window_tokens=window, threads=options.threads, token_counts=counts
    )


def _one_slot(options: BenchOptions, kind: StoreKind, block_tokens: int) -> Setup:
    return Setup(
        model=str(options.model),
        kind=kind,
        slots=1,
        window_tokens=options.window_tokens,
        threads=options.threads,
        initial_tokens=_SMALLEST_TOKENS,
        block_tokens=block_tokens,
    )


def _growth_request(options: BenchOptions, kind: StoreKind, amount: Effort) -> GrowthRequest:
    setup = _one_slot(options, kind, GROWTH_BLOCK_TOKENS)
    return GrowthRequest(setup=setup, growths=amount.growths, deep_tokens=amount.deep_tokens)


def _speed_request(options: BenchOptions, amount: Effort) -> SpeedRequest:
    return SpeedRequest(
        setup=_one_slot(options, StoreKind.RESERVED, _SPEED_BLOCK_TOKENS),
        shallow_tokens=_SHALLOW_TOKENS,
        deep_tokens=amount.deep_tokens,
        steps=SPEED_STEPS,
        repetitions=amount.repetitions,
    )


def _listed(counts: Sequence[int]) -> str:
    return ", ".join(map(str, counts)) if counts else "0"
