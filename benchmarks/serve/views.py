"""`python -m benchmarks.serve.views`: what open dashboards and a scrape each second cost running answers.

In turns, answers with and without them. The views are one process that reads and throws away, since real ones are other
machines'; what it takes of this one's processors counts all the same. So the server's own CPU time stands beside.
"""

import asyncio
import contextlib
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from benchmarks.serve.client import Dialect, load
from benchmarks.serve.page import publish
from benchmarks.serve.servers import Kind, Server, Setup, running
from benchmarks.serve.workloads import Workload

from swell.bench.tables import Section
from swell.models.catalog import Catalog
from swell.processors.allowance import Allowance

_READ_BYTES = 1 << 16
_START_S = 30.0


def main(
    model: str = "smollm2:135m",
    views: int = 50,
    streams: int = 2,
    rounds: int = 9,
    tokens: int = 200,
    results: Annotated[Path | None, typer.Option(help="Folder for views-<date>.md.")] = None,
) -> None:
    """Print tokens per second and the server's CPU time per second without and with views, medians of the rounds."""
    path = Catalog().find(model, allow_path=True).path
    setup = Setup(model_name=model, model_path=path, slots=streams, window_tokens=2048, threads=Allowance().threads())
    story = Workload(name="", script=lambda seed, client: [f"{seed} {client}: tell a long story."], predict=tokens)
    found: dict[int, list[tuple[float, float]]] = {0: [], views: []}
    with tempfile.TemporaryDirectory() as folder, running(Kind.SWELL, setup, Path(folder) / "log") as server:
        asyncio.run(load(server.url, Dialect.OLLAMA, model, story, 0, streams))
        for number in range(1, rounds + 1):
            for count in (0, views)[:: 1 if number % 2 else -1]:
                with _watched(server.url, count):
                    found[count].append(_measure(server, model, story, number, streams))
                print(f"round {number}, {count} views: {found[count][-1]}", file=sys.stderr)
    publish("views", f"{views} views and a scrape each second", [_table(found)], results)


def _measure(server: Server, model: str, story: Workload, seed: int, streams: int) -> tuple[float, float]:
    """Tokens per second of all answers together, and the part of a processor that the server took."""
    before_s, start_s = server.process.cpu_times(), time.perf_counter()
    answers = asyncio.run(load(server.url, Dialect.OLLAMA, model, story, seed, streams))
    after_s, elapsed_s = server.process.cpu_times(), time.perf_counter() - start_s
    spent_s = after_s.user + after_s.system - before_s.user - before_s.system
    return sum(answer.decode_rate for answer in answers), spent_s / elapsed_s


def _table(found: dict[int, list[tuple[float, float]]]) -> Section:
    medians = {
        count: [statistics.median(column) for column in zip(*rows, strict=True)] for count, rows in found.items()
    }
    paired = zip(*found.values(), strict=True)
    kept = statistics.median(watched[0] / alone[0] for alone, watched in paired)
    rows = [(str(count), f"{speed:.1f}", f"{100 * cpu:.1f}") for count, (speed, cpu) in medians.items()]
    title = f"Of the speed, {100 * kept:.1f} % are left (median of the rounds' ratios)"
    return Section(title=title, header=("views", "tok/s", "server's CPU, %"), rows=tuple(rows))


@contextlib.contextmanager
def _watched(url: str, count: int) -> Iterator[None]:
    """Inside, so many views are open, and somebody scrapes each second."""
    if not count:
        yield
        return
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_watch, args=(url, count, ready), daemon=True)
    process.start()
    try:
        if not ready.wait(_START_S):
            raise TimeoutError("the views did not open")
        yield
    finally:
        process.kill()
        process.join()


def _watch(url: str, count: int, ready: Event) -> None:
    asyncio.run(_look(url, count, ready))


async def _look(url: str, count: int, ready: Event) -> None:
    address = urlsplit(url)

    async def ask(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    async def read(reader: asyncio.StreamReader) -> None:
        while await reader.read(_READ_BYTES):
            pass

    async def scrape() -> None:
        while True:
            _, writer = await ask("/metrics")
            await asyncio.sleep(1)
            writer.close()

    opened = [await ask("/api/events") for _ in range(count)]
    ready.set()
    await asyncio.gather(scrape(), *(read(reader) for reader, _ in opened))


if __name__ == "__main__":
    typer.run(main)
