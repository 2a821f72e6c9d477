"""`python -m benchmarks.serve.sharing`: what is left of the speed when processors are shared, in one run.

Beside busy processes, beside another model of the same server, and how long it takes until the number of threads has
followed. llama.cpp's server does the same in the same rounds.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import httpx
import typer
from benchmarks.serve.client import Dialect, load
from benchmarks.serve.neighbours import busy
from benchmarks.serve.page import publish
from benchmarks.serve.servers import Kind, Server, Setup, running
from benchmarks.serve.workloads import WORKLOADS, Workload

from swell.bench.tables import Section
from swell.models.catalog import Catalog
from swell.processors.allowance import Allowance

_STORY = WORKLOADS[0]
_WARM_UP = dataclasses.replace(WORKLOADS[0], predict=32)
_SETTLE_S = 1.5  # after a neighbour came or left: idle servers look at the time that has passed
_PATIENCE_S = 10.0
_POLL_S = 0.2  # asking more often would be a neighbour, too: every 20 ms takes a third of a processor

Speeds = dict[str, list[float]]
"""By what was done: tokens per second in each round."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A server, and one of its models."""

    server: Server
    model: str


def main(
    model: str = "smollm2:135m",
    rounds: int = 5,
    results: Annotated[Path | None, typer.Option(help="Folder for sharing-<date>.md.")] = None,
) -> None:
    """Print tokens per second, medians of the rounds, and the ratios that matter."""
    path = Catalog().find(model, allow_path=True).path
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        other = Path(shutil.copy(path, folder / "other.gguf"))
        setup = Setup(model_name=model, model_path=path, slots=2, window_tokens=4096, threads=Allowance().threads())

        def start(kind: Kind, name: str, chosen: Path) -> Server:
            found = dataclasses.replace(setup, model_path=chosen)
            return stack.enter_context(running(kind, found, folder / f"{name}.log"))

        swell = start(Kind.SWELL, "swell", path)
        peers = [start(Kind.LLAMA_CPP, f"peer{number}", chosen) for number, chosen in enumerate((path, other))]
        ours = [Target(swell, model), Target(swell, str(other))]
        theirs = [Target(peer, model) for peer in peers]
        speeds: Speeds = {}
        for number in range(rounds):
            for name, speed in _round(ours, theirs, number):
                speeds.setdefault(name, []).append(speed)
                print(f"round {number}, {name}: {speed:.1f}", file=sys.stderr)
        follows = [_follow(ours[0]) for _ in range(rounds)]
    publish(
        "sharing", "Shared processors", [_speed_table(speeds), _ratio_table(speeds), _follow_table(follows)], results
    )


def _round(ours: list[Target], theirs: list[Target], number: int) -> Iterator[tuple[str, float]]:
    """Everything once, in an order that changes from round to round."""
    kinds = [("Swell", ours), ("llama.cpp's server", theirs)]
    for count in (0, 1, 2):
        with busy(count):
            for name, targets in kinds[:: 1 if number % 2 else -1]:
                time.sleep(_SETTLE_S)
                _decode(targets[:1], number, _WARM_UP)
                yield f"{name}, {count} neighbours", _decode(targets[:1], number)
    for name, targets in kinds[:: 1 if number % 2 else -1]:
        time.sleep(_SETTLE_S)
        yield f"{name}, two models at once", _decode(targets, number)
    time.sleep(_SETTLE_S)
    _decode(ours[:1], number, _WARM_UP, num_thread=1)  # loads it anew
    yield "Swell, num_thread 1", _decode(ours[:1], number, num_thread=1)
    _unload(ours[0])
    _decode(ours[:1], number, _WARM_UP)


def _decode(targets: list[Target], seed: int, workload: Workload = _STORY, **options: int) -> float:
    """Tokens per second after the first, of all targets together, each with one client."""

    async def ask() -> float:
        asked = (
            load(one.server.url, one.server.dialect, one.model, workload, seed, 1, options=options) for one in targets
        )
        return sum(answer.decode_rate for answers in await asyncio.gather(*asked) for answer in answers)

    return asyncio.run(ask())


def _unload(target: Target) -> None:
    httpx.post(f"{target.server.url}/api/generate", json={"model": target.model, "keep_alive": 0}, trust_env=False)
    time.sleep(_SETTLE_S)


def _follow(target: Target) -> tuple[float, float]:
    """Seconds from a neighbour's start to fewer threads, and from its end to all of them.

    One client asks again and again meanwhile.
    """

    async def watch() -> tuple[float, float]:
        async def talk() -> None:
            for seed in itertools.count():
                await load(target.server.url, Dialect.OLLAMA, target.model, _STORY, seed, 1)

        async with httpx.AsyncClient(base_url=target.server.url, trust_env=False) as http:
            talking = asyncio.create_task(talk())
            await asyncio.sleep(2 * _SETTLE_S)
            with busy(1):
                came_s = await _until(http, target.model, lambda now, allowed: now < allowed)
                await asyncio.sleep(_SETTLE_S)
            left_s = await _until(http, target.model, lambda now, allowed: now == allowed)
            talking.cancel()
            return came_s, left_s

    return asyncio.run(watch())


async def _until(http: httpx.AsyncClient, model: str, is_so: Callable[[int, int], bool]) -> float:
    start = time.monotonic()
    while time.monotonic() - start < _PATIENCE_S:
        models = (await http.get("/stats")).json()["models"]
        found = [one["stats"]["threads"] for one in models if one["name"] == model and one["stats"]]
        if any(is_so(threads["now"], threads["allowed"]) for threads in found):
            return time.monotonic() - start
        await asyncio.sleep(_POLL_S)
    return float("inf")


def _speed_table(speeds: Speeds) -> Section:
    rows = tuple((name, _spread(found)) for name, found in speeds.items())
    return Section(title="Decoding, tokens per second", header=("what", "median (lowest-highest)"), rows=rows)


def _ratio_table(speeds: Speeds) -> Section:
    pairs = [
        ("Swell, 1 neighbours", "Swell, num_thread 1"),
        ("Swell, 2 neighbours", "Swell, num_thread 1"),
        ("Swell, 1 neighbours", "llama.cpp's server, 1 neighbours"),
        ("Swell, 2 neighbours", "llama.cpp's server, 2 neighbours"),
        ("Swell, 0 neighbours", "llama.cpp's server, 0 neighbours"),
        ("Swell, two models at once", "Swell, 0 neighbours"),
        ("llama.cpp's server, two models at once", "llama.cpp's server, 0 neighbours"),
    ]
    rows = tuple(
        (f"{one} / {other}", _spread([a / b for a, b in zip(speeds[one], speeds[other], strict=True)], 2))
        for one, other in pairs
    )
    return Section(title="Ratios", header=("what", "median of the rounds (lowest-highest)"), rows=rows)


def _follow_table(follows: list[tuple[float, float]]) -> Section:
    came, left = zip(*follows, strict=True)
    rows = (("a neighbour comes", _spread(came, 2)), ("it leaves", _spread(left, 2)))
    return Section(title="Seconds until the number of threads follows", header=("when", "median"), rows=rows)


def _spread(found: list[float] | tuple[float, ...], digits: int = 1) -> str:
    numbers = (statistics.median(found), min(found), max(found))
    return "{} ({}-{})".format(*(f"{number:.{digits}f}" for number in numbers))


if __name__ == "__main__":
    typer.run(main)
