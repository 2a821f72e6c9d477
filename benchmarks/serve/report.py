"""Tables of a run. Pure functions."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from benchmarks.serve.results import Load, Report
from benchmarks.serve.servers import Kind

from swell.bench.tables import Section

_PEERS = (Kind.LLAMA_CPP, Kind.SWELL_BEFORE)
Cell = tuple[str, int, int]
"""Workload, clients, neighbours."""
_RATIOS: tuple[tuple[str, Callable[[Load], float]], ...] = (
    ("total tok/s", lambda load: load.total_rate),
    ("decode", lambda load: load.decode_rate),
    ("prefill", lambda load: load.read_rate),
)


def sections(report: Report) -> list[Section]:
    return [*_ratios(report.loads), *(_numbers(name, report.loads) for name in _names(report.loads))]


def _ratios(loads: Sequence[Load]) -> Iterator[Section]:
    """Swell over each peer that was measured: in each round, then the median of rounds."""
    for peer in _PEERS:
        if any(load.kind is peer for load in loads):
            yield _ratio(loads, peer)


def _ratio(loads: Sequence[Load], peer: Kind) -> Section:
    rows = []
    for workload, clients, neighbours in _cells(loads):
        pairs = list(_pairs(loads, (workload, clients, neighbours), peer))
        if pairs:
            rows.append(
                (f"{workload}, {_case(clients, neighbours)}", *(_spread(pairs, number) for _, number in _RATIOS))
            )
    return Section(
        title=f"Swell over {peer.value}",
        header=("workload, clients", *(name for name, _ in _RATIOS)),
        rows=tuple(rows),
        note="Median of the rounds' ratios, lowest and highest in brackets; more than 1 is faster than it.",
    )


def _pairs(loads: Sequence[Load], cell: Cell, peer: Kind) -> Iterator[tuple[Load, Load]]:
    found = [load for load in loads if _cell(load) == cell]
    for ours in found:
        for theirs in found:
            if ours.kind is Kind.SWELL and theirs.kind is peer and ours.round == theirs.round:
                yield ours, theirs


def _spread(pairs: Sequence[tuple[Load, Load]], number: Callable[[Load], float]) -> str:
    ratios = [number(ours) / number(theirs) for ours, theirs in pairs]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def _numbers(workload: str, loads: Sequence[Load]) -> Section:
    rows = []
    for cell in _cells(loads):
        name, clients, neighbours = cell
        if name != workload:
            continue
        for kind in Kind:
            found = [load for load in loads if (_cell(load), load.kind) == (cell, kind)]
            if found:
                rows.append((f"{_case(clients, neighbours)} x {kind.value}", *_medians(found)))
    header = ("total tok/s", "decode", "prefill", "first s", "later s", "gap p50 ms", "gap p99 ms", "CPU ms/tok", "MB")
    return Section(title=workload.capitalize(), header=("clients x server", *header), rows=tuple(rows))


def _medians(loads: Sequence[Load]) -> tuple[str, ...]:
    def median(number: Callable[[Load], float]) -> float:
        return statistics.median(map(number, loads))

    later = [load.later_s for load in loads if load.later_s is not None]
    return (
        f"{median(lambda load: load.total_rate):.1f}",
        f"{median(lambda load: load.decode_rate):.1f}",
        f"{median(lambda load: load.read_rate):.0f}" if loads[0].prompt_tokens else "",
        f"{median(lambda load: load.first_s):.2f}",
        f"{statistics.median(later):.2f}" if later else "",
        f"{median(lambda load: load.gap_p50_s) * 1e3:.1f}",
        f"{median(lambda load: load.gap_p99_s) * 1e3:.1f}",
        f"{median(lambda load: load.processor_s_per_token) * 1e3:.1f}",
        f"{median(lambda load: load.memory_bytes) / 1e6:.0f}",
    )


def _names(loads: Sequence[Load]) -> list[str]:
    return list(dict.fromkeys(load.workload for load in loads))


def _cells(loads: Sequence[Load]) -> list[Cell]:
    return list(dict.fromkeys(map(_cell, loads)))


def _cell(load: Load) -> Cell:
    return load.workload, load.clients, load.neighbours


def _case(clients: int, neighbours: int) -> str:
    return f"{clients} beside {neighbours}" if neighbours else str(clients)
