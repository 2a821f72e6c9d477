"""`python -m benchmarks.serve.alternate`: small differences on a noisy machine.

All servers are loaded, and one request after the other goes to each in turn, in random order, so that whatever else
the machine does falls on all alike. With `--before`, another checkout is compared; with `--processors`, all run in a
control group that gives them so many processors' worth of time. A server whose threads once fell, beside whatever
else there was, sees no idle machine between its requests here and so stays slower than it would be alone, unless
there is a `--pause`.
"""

import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import httpx
import typer
from benchmarks.serve.page import publish
from benchmarks.serve.servers import Kind, Server, Setup, running
from tests.control_group import new_processor_group

from swell.bench.tables import Section
from swell.models.catalog import Catalog
from swell.processors.allowance import Allowance

_SENTENCE = "There was a fox and a bird, and they talked about the sea. "

Speeds = dict[str, list[float]]
"""Tokens per second in each round."""


def main(
    model: str = "smollm2:135m",
    rounds: int = 25,
    sentences: Annotated[int, typer.Option(help="Of the prompt: 15 tokens each.")] = 1,
    predict: int = 100,
    before: Annotated[Path | None, typer.Option(help="The src folder of another checkout.")] = None,
    pause: Annotated[float, typer.Option(help="Seconds in which nothing computes, before each request.")] = 0,
    processors: Annotated[float | None, typer.Option(help="Processor time that all may use, in processors.")] = None,
    results: Annotated[Path | None, typer.Option(help="Folder for alternate-<date>.md.")] = None,
) -> None:
    """Print the speeds of generating and reading, and the median of the rounds' ratios to the last server."""
    setup = Setup(
        model_name=model,
        model_path=Catalog().find(model, allow_path=True).path,
        slots=1,
        window_tokens=4096,
        threads=Allowance().threads(),
        before=before,
    )
    wanted = {"Swell": (Kind.SWELL, {}), "Swell, num_thread 1": (Kind.SWELL, {"num_thread": 1})}
    if before is not None:
        wanted["Swell before"] = (Kind.SWELL_BEFORE, {})
    generating, reading = ({name: list[float]() for name in wanted} for _ in range(2))
    with contextlib.ExitStack() as stack:
        if processors is not None:
            group = stack.enter_context(new_processor_group())
            group.limit(processors)
            group.enter()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = {
            name: (stack.enter_context(running(kind, setup, folder / f"{number}.log")), options)
            for number, (name, (kind, options)) in enumerate(wanted.items())
        }
        for number in range(-1, rounds):
            for name, (server, options) in _shuffled(servers):
                time.sleep(pause)
                speeds = _ask(server, model, number, sentences, {**options, "num_predict": predict})
                if number >= 0:  # the first loads the model
                    generating[name].append(speeds[0])
                    reading[name].append(speeds[1])
        if processors is not None:
            group.leave()
    publish("alternate", "Servers in turn", [_table("Generating", generating), _table("Reading", reading)], results)


def _shuffled(
    servers: dict[str, tuple[Server, dict[str, int]]],
) -> Iterator[tuple[str, tuple[Server, dict[str, int]]]]:
    names = list(servers)
    random.shuffle(names)
    return ((name, servers[name]) for name in names)


def _ask(server: Server, model: str, number: int, sentences: int, options: dict[str, int]) -> tuple[float, float]:
    """Tokens per second of generating, and of reading a prompt that no other one begins like."""
    body = {
        "model": model,
        "prompt": f"Part {number}. {_SENTENCE * sentences}",
        "raw": True,
        "stream": False,
        "options": {"temperature": 0, "seed": 1, **options},
    }
    answer = httpx.post(f"{server.url}/api/generate", json=body, timeout=600, trust_env=False).raise_for_status().json()
    return tuple(answer[f"{what}_count"] / answer[f"{what}_duration"] * 1e9 for what in ("eval", "prompt_eval"))


def _table(title: str, speeds: Speeds) -> Section:
    *_, (last, reference) = speeds.items()
    rows = []
    for name, found in speeds.items():
        ratios = [one / other for one, other in zip(found, reference, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows.append((name, f"{statistics.median(found):.1f}", f"{middle:.2f} ({low:.2f}-{high:.2f})"))
    header = ("server", "tokens/s, median", f"over {last}: median (quartiles)")
    return Section(title=title, header=header, rows=tuple(rows))


if __name__ == "__main__":
    typer.run(main)
