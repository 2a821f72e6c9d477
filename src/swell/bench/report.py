"""From what was measured to tables. Pure functions."""

import statistics
from collections.abc import Iterable, Sequence

from swell.bench.dialogue import ANSWER_TOKENS, GENERATED_TOKENS, THOUGHT_TOKENS, TURN_TOKENS
from swell.bench.footprint import Footprint
from swell.bench.kv import CreationResult, Report, SeriesResult
from swell.bench.plan import FIXED, PEER, SUBJECTS
from swell.bench.quantiles import Spread, added_s, spread
from swell.bench.results import Growth, GrowthResult, MemoryStage, Stage, WasteResult
from swell.bench.tables import Section
from swell.cache import StoreKind

_SMALLEST_TOKENS = 256  # what the server has that is subtracted
_NOTHING = "-"
_MB = 1e6

_WASTE_NOTE = (
    "Resident KV bytes / bytes of the cells in use: 1.00 is perfect. * not filled that far in this run: the memory of "
    "this cache was all there right after creation, and is divided by the cells that the others use."
)
_PROCESS_NOTE = (
    "The same for the whole process: anonymous memory that came with the cache, so compute buffers and bookkeeping "
    "count too, and with the server the copies of prompts that it keeps."
)
_GROWTH_NOTE = (
    "Microseconds. ensure: asking for cells when the grant grows, with real admission; CPU: as much of it as this "
    "thread was running, without other programs' turns. added: a step with a growth minus the median of its "
    "neighbours, to be compared with the same for steps without one."
)
_CREATION_NOTE = (
    "Medians. Without loading the model, except for the server, whose time includes load and warm-up. Memory right "
    "after creation: the KV cache, and all anonymous memory that came with it (the server's beyond that of one with "
    "the smallest window, in which its compute buffers are contained)."
)
_TURNS_NOTE = (
    f"Milliseconds. Each turn sends the whole conversation without the thoughts of the answer before: {THOUGHT_TOKENS} "
    f"of its {GENERATED_TOKENS} tokens; {TURN_TOKENS + ANSWER_TOKENS} are new. Later turns: the median."
)
_SPEED_NOTE = "Tokens per second, single tokens, runs in turns; ratio reserved / eager of each pair of runs."


def sections(report: Report) -> list[Section]:
    """All tables of a report."""
    return [
        Section(title="Waste of the KV cache", header=_header(report), rows=_waste(report), note=_WASTE_NOTE),
        Section(title="Waste of the process", header=_header(report), rows=_process(report), note=_PROCESS_NOTE),
        _growth(report),
        _creation(report),
        _speed(report),
        *([_turns(report)] if report.turns else []),
    ]


def _present(report: Report) -> list[str]:
    present = {series.subject for series in report.waste}
    return [subject for subject in SUBJECTS if subject in present]


def _header(report: Report) -> tuple[str, ...]:
    return ("slots x tokens", *_present(report))


def _waste(report: Report) -> tuple[tuple[str, ...], ...]:
    rows = []
    for slots, key, used_tokens, label in _row_keys(report):
        cells = []
        for subject in _present(report):
            series = _series(report, slots, subject)
            stage = _stage(series, key)
            used = used_tokens * report.cell_bytes if stage is None else stage.used_tokens * report.cell_bytes
            if used == 0 or (stage is None and subject not in FIXED):
                cells.append(_NOTHING)
                continue
            mark = "*" if stage is None else ""
            cells.append(f"{_kv_bytes(report, series.result, stage) / used:.2f}{mark}")
        rows.append((label, *cells))
    return tuple(rows)


def _process(report: Report) -> tuple[tuple[str, ...], ...]:
    rows = []
    for slots, key, _, label in _row_keys(report):
        cells = []
        for subject in _present(report):
            series = _series(report, slots, subject)
            stage = _stage(series, key)
            used = stage.used_tokens * report.cell_bytes if stage else 0
            if stage is None or used == 0:
                cells.append(_NOTHING)
                continue
            cells.append(f"{_added_bytes(report, subject, series.result, stage.process) / used:.2f}")
        if any(cell != _NOTHING for cell in cells):
            rows.append((label, *cells))
    return tuple(rows)


_Key = tuple[Stage, int]


def _row_keys(report: Report) -> list[tuple[int, _Key, int, str]]:
    """Slots, stage, cells in use and label of every row: all token counts, and how the fullest series shrank."""
    keys: list[tuple[int, _Key, int, str]] = []
    for slots in sorted({series.slots for series in report.waste}):
        for count in report.token_counts:
            keys.append((slots, (Stage.GROWN, count), slots * count, f"{slots} x {count}"))
        fullest = max((series for series in report.waste if series.slots == slots), key=lambda one: one.token_counts)
        for stage in fullest.result.stages:
            if stage.stage is not Stage.GROWN:
                key = (stage.stage, stage.tokens)
                keys.append((slots, key, stage.used_tokens, _label(slots, stage)))
    return keys


def _label(slots: int, stage: MemoryStage) -> str:
    if stage.stage is Stage.RELEASED:
        return f"{slots} x {stage.tokens}, {slots // 2} released"
    return f"{slots - slots // 2} x {stage.tokens} left"


def _series(report: Report, slots: int, subject: str) -> SeriesResult:
    return next(series for series in report.waste if (series.slots, series.subject) == (slots, subject))


def _stage(series: SeriesResult, key: _Key) -> MemoryStage | None:
    return next((stage for stage in series.result.stages if (stage.stage, stage.tokens) == key), None)


def _kv_bytes(report: Report, result: WasteResult, stage: MemoryStage | None) -> int:
    """The KV cache after `stage`, or right after creation. Of the server only the latter is known, and stays."""
    if result.created_kv_resident_bytes is None:
        return _added_bytes(report, PEER, result, result.created)
    if stage is None or stage.kv_resident_bytes is None:
        return result.created_kv_resident_bytes
    return stage.kv_resident_bytes


def _added_bytes(report: Report, subject: str, result: WasteResult, now: Footprint) -> int:
    """Anonymous memory that came with the cache.

    The server loads the model and makes its cache at once, so it is compared with one that has the smallest window.
    """
    if subject == PEER and report.smallest_peer is not None:
        return now.anonymous_bytes - report.smallest_peer.created.anonymous_bytes + _SMALLEST_TOKENS * report.cell_bytes
    return now.anonymous_bytes - result.before.anonymous_bytes


def _growth(report: Report) -> Section:
    rows = []
    for subject, result in report.growth.items():
        steps = _in_steps(result)
        rows.append(_growth_row(f"{subject}, generating", steps, added_s(result.steps, lambda step: step.has_grown)))
        rows.append(_growth_row(f"{subject}, reading", result.reading))
        rows.append(_growth_row(f"{subject}, nothing between", result.bare))
        moves = [one for one in _growths(result) if one.has_moved]
        if moves:
            added = added_s(result.steps, lambda step: step.has_moved)
            rows.append(_growth_row(f"{subject}, all that copied", moves, added))
        noise = spread(added_s(result.steps, lambda step: not step.has_grown))
        unmeasured = [_NOTHING] * 6
        rows.append((f"{subject}, steps without growth", str(noise.size), *unmeasured, *_micros(noise)))
    columns = [f"{name} {part}" for name in ("ensure", "CPU", "added") for part in ("p50", "p99", "max")]
    header = ("", "count", *columns)
    return Section(title="Growth", header=header, rows=tuple(rows), note=f"{_GROWTH_NOTE}{_moves(report)}")


def _growth_row(label: str, growths: Sequence[Growth], added: Sequence[float] = ()) -> tuple[str, ...]:
    ensure, processor = spread([one.ensure_s for one in growths]), spread([one.processor_s for one in growths])
    return (label, str(ensure.size), *_micros(ensure), *_micros(processor), *_micros(spread(added)))


def _in_steps(result: GrowthResult) -> list[Growth]:
    steps = (step for step in result.steps if step.has_grown)
    return [Growth(step.depth, step.ensure_s, step.ensure_processor_s, step.has_moved) for step in steps]


def _growths(result: GrowthResult) -> list[Growth]:
    """All growths there were, in order."""
    return [*_in_steps(result), *result.reading, *result.bare]


def _moves(report: Report) -> str:
    moves = [one for result in report.growth.values() for one in _growths(result) if one.has_moved]
    if not moves:
        return ""
    return " Copies: " + ", ".join(f"{one.ensure_s * 1e3:.0f} ms at {one.depth}" for one in moves) + " tokens stored."


def _micros(values: Spread) -> tuple[str, str, str]:
    if not values.size:
        return _NOTHING, _NOTHING, _NOTHING
    return f"{values.p50 * 1e6:.0f}", f"{values.p99 * 1e6:.0f}", f"{values.maximum * 1e6:.0f}"


def _creation(report: Report) -> Section:
    rows = tuple(_creation_row(report, one) for one in report.creation)
    header = (f"slots x {report.window_tokens}", "ms", "KV MB", "process MB")
    return Section(title="Creation", header=header, rows=rows, note=_CREATION_NOTE)


def _creation_row(report: Report, creation: CreationResult) -> tuple[str, ...]:
    results = creation.results
    return (
        f"{creation.slots} {creation.subject}",
        f"{_median(result.creation_s for result in results) * 1e3:.0f}",
        f"{_median(_kv_bytes(report, result, None) for result in results) / _MB:.1f}",
        f"{_median(_added_bytes(report, creation.subject, result, result.created) for result in results) / _MB:.1f}",
    )


def _speed(report: Report) -> Section:
    rows = []
    for depth in dict.fromkeys(run.depth for run in report.speed.runs):
        ours = [run for run in report.speed.runs if (run.depth, run.kind) == (depth, StoreKind.RESERVED)]
        theirs = [run for run in report.speed.runs if (run.depth, run.kind) == (depth, StoreKind.EAGER)]
        ratios = [eager.duration_s / reserved.duration_s for reserved, eager in zip(ours, theirs, strict=True)]
        speeds = [f"{report.speed.steps / _median(run.duration_s for run in runs):.1f}" for runs in (ours, theirs)]
        label = f"{depth} (growths: {ours[0].growths})"
        range_ = f"{min(ratios):.3f} to {max(ratios):.3f}"
        rows.append((label, *speeds, f"{statistics.median(ratios):.3f}", range_, str(len(ratios))))
    header = ("depth", "reserved", "eager", "ratio", "range", "pairs")
    return Section(title="Decode speed", header=header, rows=tuple(rows), note=_SPEED_NOTE)


def _turns(report: Report) -> Section:
    rows = []
    for series in report.turns:
        first_s, *later_s = series.result.first_token_s
        median_s = _median(later_s)
        label = f"{series.prompt_tokens}, {series.subject}"
        rows.append(
            (label, *(f"{one * 1e3:.0f}" for one in (first_s, median_s, max(later_s))), f"{median_s / first_s:.3f}")
        )
    header = ("begins with", "first turn", "later turns", "slowest", "later / first")
    return Section(title="Time to first token", header=header, rows=tuple(rows), note=_TURNS_NOTE)


def _median(values: Iterable[float]) -> float:
    return statistics.median(list(values))
