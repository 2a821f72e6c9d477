"""One lease on its replica: messages between the front's connection and the runner that is leased."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, NoReturn

import msgspec

from swell.errors import SwellError, to_data
from swell.protocol.framing import encode
from swell.protocol.messages import (
    Cancel,
    Embed,
    Embedded,
    Emitted,
    Failed,
    Finished,
    Generate,
    Ping,
    Pong,
    Prefilled,
    Reply,
    Request,
    StepOutput,
    Tokenize,
    Tokenized,
    TokenLikelihood,
)
from swell.protocol.texts import pack_vector
from swell.supervisor.runner import Runner
from swell.supervisor.stream import Event


class LeaseRelay:
    """Carries out what the front asks of the runner, each request in a task of its own, under the front's numbers."""

    def __init__(self, runner: Runner, writer: asyncio.StreamWriter) -> None:
        self._runner = runner
        self._writer = writer
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self, incoming: "asyncio.Queue[Request]") -> NoReturn:
        """Answer requests as they come, until cancelled; nothing of them goes on then."""
        try:
            while True:
                self._take(await incoming.get())
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, request: Request) -> None:
        match request:
            case Generate():
                self._spawn(request.id, self._generate(request))
            case Tokenize():
                self._spawn(request.id, self._tokenize(request))
            case Embed():
                self._spawn(request.id, self._embed(request))
            case Ping():
                self._send(Pong(request.id, None))
            case Cancel():
                if task := self._tasks.get(request.id):
                    task.cancel()

    def _spawn(self, request_id: int, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[request_id] = asyncio.create_task(self._carry_out(request_id, work))
        task.add_done_callback(lambda _: self._tasks.pop(request_id, None))

    async def _carry_out(self, request_id: int, work: Coroutine[Any, Any, None]) -> None:
        with contextlib.suppress(ConnectionError):  # the front is gone, and so is the lease
            try:
                await work
            except SwellError as error:
                self._send(Failed(request_id, *to_data(error)))

    async def _generate(self, order: Generate) -> None:
        """While the front doesn't read, the stream fills, and ends as one on the same machine would."""
        with self._runner.generating(order) as stream:
            async for events in stream:
                for output in _outputs(order.id, events):
                    self._send(output)
                await self._writer.drain()

    async def _tokenize(self, request: Tokenize) -> None:
        tokens = await self._runner.tokenize(
            request.text,
            add_special=request.add_special,
            parse_special=request.parse_special,
            limit_tokens=request.limit_tokens,
        )
        self._send(Tokenized(request.id, tokens))

    async def _embed(self, request: Embed) -> None:
        vectors = await self._runner.embed(request.inputs, cut_tokens=request.cut_tokens, threads=request.threads)
        self._send(Embedded(request.id, [pack_vector(vector) for vector in vectors]))

    def _send(self, reply: Reply) -> None:
        self._writer.write(encode(reply))


def _outputs(generation_id: int, events: Sequence[Event]) -> Iterator[StepOutput]:
    """`events` as messages, for the number that the front has given the generation.

    A token's likelihood follows it, so tokens that have one need a message each.
    """
    output = StepOutput()
    for event in events:
        match event:
            case Prefilled():
                output.prefilled.append(msgspec.structs.replace(event, id=generation_id))
            case Emitted():
                if output.likelihoods:
                    yield output
                    output = StepOutput()
                output.emitted.append(Emitted(generation_id, event.token, event.piece))
            case TokenLikelihood():
                output.likelihoods.append(msgspec.structs.replace(event, id=generation_id))
            case Finished():
                output.finished.append(msgspec.structs.replace(event, id=generation_id))
    yield output
