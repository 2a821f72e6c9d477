"""`python -m benchmarks.serve.attacks`: how long a stream stands still beside requests that try to harm it.

One stream after the other counts while an attack lasts; the longest time between two of its lines, or until the first
one, is what somebody would notice. Runners are sabotaged so that some requests end them.
"""

import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import httpx
import typer
from benchmarks.serve.page import publish
from tests.attacks import ATTACKS
from tests.counting import counted, expected
from tests.e2e.server import MODEL, Server, running
from tests.e2e.streams import sabotaged

from swell.bench.tables import Section

TOKENS = 120


def main(
    rounds: int = 3,
    only: Annotated[str, typer.Option(help="The name of one attack.")] = "",
    results: Annotated[Path | None, typer.Option(help="Folder for attacks-<date>.md.")] = None,
) -> None:
    """Print the longest gaps, of all rounds, beside each attack and alone."""
    gaps: dict[str, list[float]] = {"alone": []}
    said: dict[str, str] = {"alone": ""}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        attacker = stack.enter_context(ThreadPoolExecutor(1))
        server = stack.enter_context(running(folder / "log", sabotaged({"OLLAMA_NUM_PARALLEL": "4"})))
        max(_gaps(server))  # loads the model
        for _ in range(rounds):
            gaps["alone"].append(max(_gaps(server)))
            for name, attack in ATTACKS.items():
                if only in ("", name):
                    during = attacker.submit(attack, server.url, folder)
                    gaps.setdefault(name, []).append(max(_gaps(server, during)))
                    said[name] = during.result()
    rows = [
        (name, f"{statistics.median(found) * 1000:.0f}", f"{max(found) * 1000:.0f}", said[name])
        for name, found in gaps.items()
    ]
    header = ("beside", "longest gap, ms: median", "worst", "the attack was answered")
    publish("attacks", "A stream beside attacks", [Section(title="Gaps", header=header, rows=tuple(rows))], results)


def _gaps(server: Server, during: "Future[str] | None" = None) -> Iterator[float]:
    """Seconds between lines of streams, one at least, as long as something goes on. What they say is checked."""
    number = 0
    while number == 0 or (during is not None and not during.done()):
        first = number % 12 + 1
        options = {"temperature": 0, "num_predict": TOKENS}
        body = {"model": MODEL, "prompt": counted(first, 30), "raw": True, "options": options}
        text, last_s = "", time.perf_counter()
        with httpx.stream("POST", f"{server.url}/api/generate", json=body, timeout=600, trust_env=False) as answer:
            for line in answer.iter_lines():
                now_s = time.perf_counter()
                yield now_s - last_s
                last_s = now_s
                text += json.loads(line)["response"]
        if text != expected(first + 30, len(text)) or len(text) < TOKENS:
            raise AssertionError(f"a wrong answer: {text}")
        number += 1


if __name__ == "__main__":
    typer.run(main)
