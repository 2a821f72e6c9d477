"""Tables of a run. Pure functions."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from benchmarks.serve.results import Load, Report
from benchmarks.serve.servers import Kind

from swell.bench.tables import Section

_PEER = Kind.LLAMA_CPP
_RATIOS: tuple[tuple[str, Callable[[Load], float]], ...] = (
    ("total tok/s", lambda load: load.total_rate),
    ("decode", lambda load: load.decode_rate),
    ("prefill", lambda load: load.read_rate),
)


def sections(report: Report) -> list[Section]:
    return [_ratios(report.loads), *(_numbers(name, report.loads) for name in _names(report.loads))]


def _ratios(loads: Sequence[Load]) -> Section:
    """Swell over llama.cpp's server: in each round, then the median of rounds."""
    rows = []
    for workload, clients in _cells(loads):
        pairs = list(_pairs(loads, workload, clients))
        if pairs:
            rows.append((f"{workload}, {clients}", *(_spread(pairs, number) for _, number in _RATIOS)))
    return Section(
        title=f"Swell over {_PEER.value}",
        header=("workload, clients", *(name for name, _ in _RATIOS)),
        rows=tuple(rows),
        note="Median of the rounds' ratios, lowest and highest in brackets; more than 1 is faster than the peer.",
    )


def _pairs(loads: Sequence[Load], workload: str, clients: int) -> Iterator[tuple[Load, Load]]:
    found = [load for load in loads if (load.workload, load.clients) == (workload, clients)]
    for ours in found:
        for theirs in found:
            if ours.kind is Kind.SWELL and theirs.kind is _PEER and ours.round == theirs.round:
                yield ours, theirs


def _spread(pairs: Sequence[tuple[Load, Load]], number: Callable[[Load], float]) -> str:
    ratios = [number(ours) / number(theirs) for ours, theirs in pairs]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def _numbers(workload: str, loads: Sequence[Load]) -> Section:
    rows = []
    for name, clients in _cells(loads):
        if name != workload:
            continue
        for kind in Kind:
            found = [load for load in loads if (load.workload, load.clients, load.kind) == (workload, clients, kind)]
            if found:
                rows.append((f"{clients} x {kind.value}", *_medians(found)))
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


def _cells(loads: Sequence[Load]) -> list[tuple[str, int]]:
    return list(dict.fromkeys((load.workload, load.clients) for load in loads))
