"""`python -m benchmarks.fleet.front_cost`: CPU time per generated token of one machine's server, and of a front and a
replica, at eight streams. All run on this machine; what runners compute isn't counted.
"""

import asyncio
import contextlib
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import typer
from benchmarks.serve.client import Dialect, load
from benchmarks.serve.workloads import Workload

from swell.bench.tables import Section, as_text
from swell.fleet.directory import ReplicaAddress
from swell.fleet.front import FleetScheduler
from swell.fleet.replica_thread import ReplicaThread
from swell.host import HostAddress
from swell.models.catalog import Catalog
from swell.serve import Server
from swell.settings import Settings

MODEL = "smollm2:135m"
_TOKENS = 100


class _Fixed:
    """The directory of one replica."""

    def __init__(self, address: ReplicaAddress) -> None:
        self._address = address

    async def replicas(self) -> Sequence[ReplicaAddress]:
        return [self._address]


def main(streams: int = 8, rounds: int = 3) -> None:
    """Print microseconds of CPU per generated token of a stream."""
    rows: dict[str, list[float]] = {"one machine: server": [], "fleet: front": [], "fleet: replica": []}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            host=HostAddress("http", "127.0.0.1", 0), store_dir=Path(folder), num_parallel=streams, keep_alive_s=3600
        )
        for _ in range(rounds):
            with _process(_serve, settings) as (server, url):
                (cost,) = _costs(str(url), streams, server)
                rows["one machine: server"].append(cost)
            with (
                _process(_replicate, settings) as (replica, address),
                _process(_front, settings, address) as (front, url),
            ):
                for name, cost in zip(("front", "replica"), _costs(str(url), streams, front, replica), strict=True):
                    rows[f"fleet: {name}"].append(cost)
    section = Section(
        title=f"CPU per token, {streams} streams over HTTP",
        header=("process", *(f"us, {number + 1}" for number in range(rounds))),
        rows=tuple((name, *(f"{cost * 1e6:.0f}" for cost in costs)) for name, costs in rows.items()),
    )
    print(as_text([section]), end="")


def _costs(url: str, streams: int, *processes: int) -> list[float]:
    """Seconds per token of each of `processes`, after a first round that loads the model."""
    story = Workload(name="", script=lambda seed, client: [f"{seed} {client}: tell a long story."], predict=_TOKENS)
    asyncio.run(load(url, Dialect.OLLAMA, MODEL, story, 0, streams))
    before = [_process_s(process) for process in processes]
    answers = asyncio.run(load(url, Dialect.OLLAMA, MODEL, story, 1, streams))
    tokens = sum(answer.tokens for answer in answers)
    return [(_process_s(process) - start) / tokens for process, start in zip(processes, before, strict=True)]


def _process_s(process: int) -> float:
    """Seconds that all threads of a process were on a CPU."""
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


@contextlib.contextmanager
def _process(target: Callable[..., None], *arguments: object) -> Iterator[tuple[int, object]]:
    """Runs `target` in a process: its number, and what it said first. It ends when told so."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, *arguments))
    process.start()
    assert process.pid is not None
    try:
        yield process.pid, ours.recv()
    finally:
        ours.send(None)
        process.join()


def _serve(told: Connection, settings: Settings) -> None:
    with Server(settings) as server:
        told.send(server.url)
        told.recv()


def _front(told: Connection, settings: Settings, address: ReplicaAddress) -> None:
    with Server(settings, scheduler=FleetScheduler(settings, _Fixed(address), Catalog())) as server:
        told.send(server.url)
        told.recv()


def _replicate(told: Connection, settings: Settings) -> None:
    replica = ReplicaThread(settings, "replica", "here")
    told.send(replica.start("127.0.0.1"))
    told.recv()
    replica.stop(0)


if __name__ == "__main__":
    typer.run(main)
