"""`python -m benchmarks.serve.latency`: what a long prompt does to a stream beside it, and what later turns cost."""

import asyncio
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import typer
from benchmarks.serve.servers import Kind, Setup, running

from swell.bench.quantiles import percentile
from swell.bench.tables import Section, as_text
from swell.models.catalog import Catalog
from swell.processors.allowance import Allowance
from swell.protocol.messages import Load

_READ_TOKENS, _FIRST_TOKENS = 6000, 4000
_WORDS_PER_TOKEN = 0.5  # of numbers: a space and digits
_CHUNK_TOKENS = Load.__struct_defaults__[-1]


def main(model: str = "smollm2:135m") -> None:
    """Print both, as seconds and as ratios."""
    path = Catalog().find(model, allow_path=True).path
    setup = Setup(model_name=model, model_path=path, slots=2, window_tokens=8192, threads=Allowance().threads())
    with tempfile.TemporaryDirectory() as folder, running(Kind.SWELL, setup, Path(folder) / "log") as server:
        rows = asyncio.run(_measure(server.url, model))
    section = Section(title="Latency", header=("what", "measured"), rows=tuple(rows))
    print(as_text([section]), end="")


async def _measure(url: str, model: str) -> list[tuple[str, str]]:
    async with aiohttp.ClientSession(url, raise_for_status=True, timeout=aiohttp.ClientTimeout()) as session:
        return [*await _beside(session, model), *await _turns(session, model)]


async def _beside(session: aiohttp.ClientSession, model: str) -> list[tuple[str, str]]:
    """A stream's gaps while a long prompt is read, against the time of one chunk of that prompt."""
    arrivals: list[float] = []
    stream = asyncio.create_task(_chat(session, model, [_user("Tell a very long story.")], 2000, arrivals))
    while len(arrivals) < 10:
        await asyncio.sleep(0.05)
    start = time.perf_counter()
    last = await _chat(session, model, [_user(_numbers(_READ_TOKENS, 1))], 1, [])
    end = time.perf_counter()
    stream.cancel()
    during = [one for one in arrivals if start <= one <= end]
    gaps = [later - earlier for earlier, later in itertools.pairwise(during)]
    chunk_s = last["prompt_eval_duration"] / 1e9 / (last["prompt_eval_count"] / _CHUNK_TOKENS)
    worst = percentile(gaps, 0.99)
    return [
        ("prompt read beside a stream, tokens", str(last["prompt_eval_count"])),
        ("tokens of the stream meanwhile", str(len(during))),
        ("a chunk of the prompt, s", f"{chunk_s:.2f}"),
        ("gap between tokens, p99, s", f"{worst:.2f}"),
        ("gap p99 / chunk (must stay below 2)", f"{worst / chunk_s:.2f}"),
    ]


async def _turns(session: aiohttp.ClientSession, model: str) -> list[tuple[str, str]]:
    """Time to first token of three turns of one conversation; before the last the model is loaded in another way."""
    messages = [_user(_numbers(_FIRST_TOKENS, 2))]
    times: list[float] = []
    for question, options in (("", {}), ("Go on.", {}), ("And on.", {"use_mmap": False})):
        if question:
            messages.append(_user(question))
        arrivals: list[float] = []
        start = time.perf_counter()
        last = await _chat(session, model, messages, 32, arrivals, **options)
        times.append(arrivals[0] - start)
        messages.append({"role": "assistant", "content": last["text"]})
    return [
        ("first token of a first turn, s", f"{times[0]:.2f}"),
        ("first token of its second turn, s", f"{times[1]:.2f}"),
        ("second / first (must stay below 0.1)", f"{times[1] / times[0]:.3f}"),
        ("first token after a planned reload, s", f"{times[2]:.2f}"),
        ("after reload / first (must stay below 0.25)", f"{times[2] / times[0]:.3f}"),
    ]


async def _chat(
    session: aiohttp.ClientSession,
    model: str,
    messages: list[dict[str, str]],
    predict: int,
    arrivals: list[float],
    **options: int,
) -> dict[str, Any]:
    """The last line of a streamed chat, with all its text; notes when pieces came."""
    body = {"model": model, "messages": messages, "options": {"temperature": 0, "num_predict": predict, **options}}
    text = []
    line: dict[str, Any] = {}
    async with session.post("/api/chat", json=body) as response:
        async for data in response.content:
            line = msgspec.json.decode(data)
            if piece := line["message"]["content"]:
                arrivals.append(time.perf_counter())
                text.append(piece)
    return {**line, "text": "".join(text)}


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _numbers(tokens: int, seed: int) -> str:
    return " ".join(str((seed * 7919 + number * 31) % 10) for number in range(round(tokens * _WORDS_PER_TOKEN)))


if __name__ == "__main__":
    typer.run(main)
