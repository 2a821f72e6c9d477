"""Numbers of a run, and what they come to. Times are seconds, memory is bytes."""

import statistics
from collections.abc import Sequence

import msgspec
from benchmarks.serve.client import Answer
from benchmarks.serve.servers import Kind, Usage

from swell.bench.machine import Machine
from swell.bench.quantiles import percentile


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One server under one load. Rates are tokens per second; `first_s` is the time to first token of first turns,
    `later_s` that of turns after them. `gap` is between pieces of text of one answer.
    `neighbours` busy processes were beside it."""

    kind: Kind
    workload: str
    clients: int
    neighbours: int
    round: int
    prompt_tokens: int
    tokens: int
    elapsed_s: float
    total_rate: float
    decode_rate: float
    read_rate: float
    first_s: float
    later_s: float | None
    gap_p50_s: float
    gap_p99_s: float
    processor_s_per_token: float
    memory_bytes: int


class Report(msgspec.Struct, kw_only=True):
    """Everything measured by one command."""

    command: str
    date: str
    machine: Machine
    versions: dict[str, str]
    model: str
    slots: int
    window_tokens: int
    threads: int
    loads: list[Load]


def summarise(
    kind: Kind,
    workload: str,
    clients: int,
    neighbours: int,
    number: int,
    answers: Sequence[Answer],
    before: Usage,
    after: Usage,
) -> Load:
    """The numbers of all answers to one load. `total_rate` counts generated tokens over the whole time."""
    firsts = [answer for answer in answers if answer.turn == 0]
    later = [answer.first_s for answer in answers if answer.turn > 0]
    gaps = [
        end - start for answer in answers for start, end in zip(answer.arrivals_s, answer.arrivals_s[1:], strict=False)
    ]
    tokens = sum(answer.tokens for answer in answers)
    elapsed_s = max(answer.arrivals_s[-1] for answer in answers) - min(answer.start_s for answer in answers)
    return Load(
        kind=kind,
        workload=workload,
        clients=clients,
        neighbours=neighbours,
        round=number,
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        tokens=tokens,
        elapsed_s=elapsed_s,
        total_rate=tokens / elapsed_s,
        decode_rate=statistics.median(answer.decode_rate for answer in answers),
        read_rate=statistics.median(answer.prompt_tokens / answer.first_s for answer in firsts),
        first_s=statistics.median(answer.first_s for answer in firsts),
        later_s=statistics.median(later) if later else None,
        gap_p50_s=statistics.median(gaps),
        gap_p99_s=percentile(gaps, 0.99),
        processor_s_per_token=(after.processor_s - before.processor_s) / tokens,
        memory_bytes=after.memory_bytes,
    )
