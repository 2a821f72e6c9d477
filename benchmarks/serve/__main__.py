"""`python -m benchmarks.serve`: Swell and its peers under the same load over HTTP, taking turns in one run."""

import asyncio
import contextlib
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from benchmarks.serve.client import load
from benchmarks.serve.neighbours import busy
from benchmarks.serve.report import sections
from benchmarks.serve.results import Load, Report, summarise
from benchmarks.serve.servers import Kind, Server, Setup, running
from benchmarks.serve.workloads import WORKLOADS, Workload

from swell.bench.machine import machine, versions
from swell.bench.tables import as_markdown, as_text
from swell.models.catalog import Catalog
from swell.processors.allowance import Allowance

_CLIENTS = [1, 2, 4, 8, 16]
_NAMES = [workload.name for workload in WORKLOADS]
_KINDS = [Kind.SWELL, Kind.LLAMA_CPP, Kind.LLAMA_CPP_PYTHON]
_ALONE = [0]
_WARM_UP = Workload(name="warm up", script=lambda seed, client: ["Hello."], predict=8)


def main(
    model: str = "smollm2:135m",
    clients: Annotated[
        list[int], typer.Option(help="How many at the same time; may be given several times.")
    ] = _CLIENTS,
    workload: Annotated[list[str], typer.Option(help="May be given several times.")] = _NAMES,
    server: Annotated[list[Kind], typer.Option(help="May be given several times.")] = _KINDS,
    neighbours: Annotated[
        list[int], typer.Option(help="Busy processes beside the servers; may be given several times.")
    ] = _ALONE,
    before: Annotated[Path | None, typer.Option(help="The src folder of another checkout, to compare with.")] = None,
    rounds: int = 3,
    slots: int = 16,
    window: int = 4096,
    results: Annotated[Path | None, typer.Option(help="Folder for serve-<date>.json and .md.")] = None,
) -> None:
    """Measure tokens per second, time to first token, gaps between tokens, CPU time and memory."""
    found = Catalog().find(model, allow_path=True)
    setup = Setup(
        model_name=model,
        model_path=found.path,
        slots=slots,
        window_tokens=window,
        threads=Allowance().threads(),
        before=before,
    )
    report = Report(
        command=f"python -m benchmarks.serve {shlex.join(sys.argv[1:])}".strip(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine(),
        versions=versions(),
        model=model,
        slots=slots,
        window_tokens=window,
        threads=setup.threads,
        loads=[],
    )
    with contextlib.ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kinds = server if before is None else [*server, Kind.SWELL_BEFORE]
        servers = [stack.enter_context(running(kind, setup, logs / f"{kind.name}.log")) for kind in kinds]
        for each in servers:
            asyncio.run(load(each.url, each.dialect, model, _WARM_UP, 0, 1))
        for chosen in (each for each in WORKLOADS if each.name in workload):
            for count in clients:
                for beside in neighbours:
                    with busy(beside):
                        report.loads += _interleaved(servers, model, chosen, count, beside, rounds)
    _write(report, results)


def _interleaved(
    servers: list[Server], model: str, workload: Workload, clients: int, neighbours: int, rounds: int
) -> list[Load]:
    """One load in each round on each server; another one begins each round, so that drift hits all."""
    loads = []
    for number in range(rounds):
        first = number % len(servers)
        for server in servers[first:] + servers[:first]:
            before = server.usage()
            seed = clients * rounds + number  # nobody has read this before
            answers = asyncio.run(load(server.url, server.dialect, model, workload, seed, clients))
            result = summarise(server.kind, workload.name, clients, neighbours, number, answers, before, server.usage())
            done = f"{workload.name}, {clients} clients beside {neighbours}, round {number}, {server.kind.value}"
            print(f"{done}: {result.total_rate:.1f} tok/s", file=sys.stderr)
            loads.append(result)
    return loads


def _write(report: Report, folder: Path | None) -> None:
    """Print tables, and write them and the numbers to `folder`."""
    tables = sections(report)
    here = report.machine
    head = (
        f"`{report.command}`, {report.date}.\n"
        f"{', '.join(f'{name} {version}' for name, version in report.versions.items())}, Python {here.python}.\n"
        f"{here}.\n"
        f"{report.slots} slots of {report.window_tokens} tokens (llama-cpp-python: one), {report.threads} threads, "
        "greedy, the client on the same machine.\n"
    )
    sys.stdout.write(f"{head}\n{as_text(tables)}")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / f"serve-{report.date[:16].replace(':', '')}Z"
        stem.with_suffix(".json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
        stem.with_suffix(".md").write_text(f"# HTTP servers: {report.model}\n\n{head}\n{as_markdown(tables)}")


if __name__ == "__main__":
    typer.run(main)
