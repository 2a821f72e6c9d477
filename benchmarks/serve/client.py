"""A client that streams chats, in the words of each server's API, and notes when every piece came."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping
from enum import Enum
from typing import Any

import aiohttp
import msgspec
from benchmarks.serve.workloads import Message, Workload

_PATIENCE_S = 1800
_NO_OPTIONS: Mapping[str, int] = {}


class Dialect(Enum):
    """The chat endpoint that is asked."""

    OLLAMA = "/api/chat"
    OPENAI = "/v1/chat/completions"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """One streamed answer. Times are seconds of one clock; `arrivals_s` are those of its pieces of text.

    A server that doesn't count leaves `prompt_tokens` at 0; then each piece is one token.
    """

    turn: int
    start_s: float
    arrivals_s: tuple[float, ...]
    prompt_tokens: int
    tokens: int

    @property
    def first_s(self) -> float:
        """Time to first token."""
        return self.arrivals_s[0] - self.start_s

    @property
    def decode_rate(self) -> float:
        """Tokens per second after the first."""
        return (self.tokens - 1) / (self.arrivals_s[-1] - self.arrivals_s[0])


async def load(
    url: str,
    dialect: Dialect,
    model: str,
    workload: Workload,
    seed: int,
    clients: int,
    options: Mapping[str, int] = _NO_OPTIONS,
) -> list[Answer]:
    """Let `clients` talk at the same time; returns all their answers. Raises aiohttp.ClientError on refusals.

    `options` are Ollama's, beside those that every server is given.
    """
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)  # idle connections are closed at times of their own
    async with aiohttp.ClientSession(url, timeout=timeout, connector=connector, raise_for_status=True) as session:
        talks = (_talk(session, dialect, model, workload, seed, client, options) for client in range(clients))
        return [answer for answers in await asyncio.gather(*talks) for answer in answers]


async def _talk(
    session: aiohttp.ClientSession,
    dialect: Dialect,
    model: str,
    workload: Workload,
    seed: int,
    client: int,
    options: Mapping[str, int],
) -> list[Answer]:
    messages: list[Message] = []
    answers = []
    for turn, question in enumerate(workload.script(seed, client)):
        messages.append({"role": "user", "content": question})
        body = _body(dialect, model, messages, workload.predict, options)
        start_s = time.perf_counter()
        arrivals_s: list[float] = []
        text: list[str] = []
        counts = (0, 0)
        async for event in _events(session, dialect, body):
            counts = _counts(dialect, event) or counts
            if piece := _text(dialect, event):
                arrivals_s.append(time.perf_counter())
                text.append(piece)
        messages.append({"role": "assistant", "content": "".join(text)})
        answers.append(
            Answer(
                turn=turn,
                start_s=start_s,
                arrivals_s=tuple(arrivals_s),
                prompt_tokens=counts[0],
                tokens=counts[1] or len(arrivals_s),
            )
        )
    return answers


def _body(
    dialect: Dialect, model: str, messages: list[Message], predict: int, options: Mapping[str, int]
) -> dict[str, Any]:
    if dialect is Dialect.OLLAMA:
        return {"model": model, "messages": messages, "options": {"temperature": 0, "num_predict": predict, **options}}
    return {
        "model": model,
        "messages": messages,
        "max_tokens": predict,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def _events(session: aiohttp.ClientSession, dialect: Dialect, body: dict[str, Any]) -> AsyncIterator[Any]:
    """The JSON of each line or server-sent event as it comes."""
    async with session.post(dialect.value, json=body) as response:
        async for line in response.content:
            data = line.removeprefix(b"data: ").strip()
            if data.startswith(b"{"):
                yield msgspec.json.decode(data)


def _text(dialect: Dialect, event: dict[str, Any]) -> str:
    if dialect is Dialect.OLLAMA:
        return str(event["message"]["content"])
    return "".join(choice["delta"].get("content") or "" for choice in event["choices"])


def _counts(dialect: Dialect, event: dict[str, Any]) -> tuple[int, int] | None:
    """Tokens of prompt and answer, where the event has them."""
    if dialect is Dialect.OLLAMA:
        return (event["prompt_eval_count"], event["eval_count"]) if event["done"] else None
    usage = event.get("usage")
    return (usage["prompt_tokens"], usage["completion_tokens"]) if usage else None
