"""POST /v1/completions: the prompt is put in the model's template, as in /api/generate."""

import itertools
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Self

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.body import read_body
from swell.api.http.disconnects import while_connected
from swell.api.http.events import Event, EventStream
from swell.api.http.services import find_model, services
from swell.api.http.side_by_side import side_by_side
from swell.api.http.streams import Heading, Replies
from swell.api.ollama.replies import logprob_list
from swell.api.ollama.requests import check_generate, text_completion_of, turn_request
from swell.api.openai.bodies import CompletionRequest
from swell.api.openai.conversion import generate_body
from swell.api.openai.errors import error_event
from swell.api.openai.replies import DONE, FINGERPRINT, Identity, Usage
from swell.api.openai.turns import Turn
from swell.api.v1 import several, unbroken, v1_response
from swell.errors import ModelNotFoundError
from swell.text.parsing.parts import Likelihood, Text
from swell.turns import checks
from swell.turns.completion import complete, load
from swell.turns.events import Finish, PromptRead, TurnEvent
from swell.turns.request import TurnRequest
from swell.turns.services import Services
from swell.turns.text_completion import TextCompletion, TextCompletionPrompt

Events = AsyncGenerator[tuple[int, TurnEvent], None]


class CompletionLogprobs(msgspec.Struct, kw_only=True):
    """One entry per token in each list. Offsets count characters of the answer."""

    text_offset: list[int]
    token_logprobs: list[float]
    tokens: list[str]
    top_logprobs: list[dict[str, float]]

    @classmethod
    def of(cls, likelihoods: Sequence[Likelihood], offset: int) -> Self | None:
        """None where there are none; the first of the tokens begins at `offset`."""
        tokens = logprob_list(likelihoods)
        if tokens is None:
            return None
        lengths = [len(one.token) for one in tokens]
        return cls(
            text_offset=list(itertools.accumulate(lengths[:-1], initial=offset)),
            token_logprobs=[one.logprob for one in tokens],
            tokens=[one.token for one in tokens],
            top_logprobs=[{other.token: other.logprob for other in one.top_logprobs} for one in tokens],
        )


class CompletionChoice(msgspec.Struct, kw_only=True, omit_defaults=True):
    text: str
    index: int
    logprobs: CompletionLogprobs | None = None
    finish_reason: str | None


class Completion(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A whole answer, or a piece of one. `created` are seconds since 1970."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage | None = None


async def completions(request: Request) -> Response:
    """The endpoint. Its checks are those of /api/generate, after the body's own."""
    started_ns = time.perf_counter_ns()
    wanted = await read_body(request, CompletionRequest)
    body = generate_body(wanted)
    checks.check_top_logprobs(body.top_logprobs)
    if not body.model:
        raise ModelNotFoundError("")
    parts, model = services(request), await find_model(request, body.model)
    check_generate(body, model, None)
    turns = several(turn_request(body, model, None, started_ns), wanted.n)
    completion = text_completion_of(body, None)
    generators = [_completed(parts, turn, completion) if body.prompt else _loaded(parts, turn) for turn in turns]
    events = side_by_side(generators)
    answers = _Answers(Identity.new("cmpl", wanted.model), wanted.n)
    if wanted.stream:
        return EventStream(_stream(events, answers, with_usage=wanted.stream_options.include_usage), error_event)
    return await while_connected(request.receive, _whole(events, answers))


def _completed(parts: Services, turn: TurnRequest, completion: TextCompletion) -> AsyncGenerator[TurnEvent, None]:
    return unbroken(complete(parts, turn, TextCompletionPrompt(parts, turn, completion)))


async def _loaded(parts: Services, turn: TurnRequest) -> AsyncGenerator[TurnEvent, None]:
    """Without a prompt the model is only loaded, as in Ollama."""
    await load(parts, turn)
    yield Finish("stop", 0, 0, 0, 0, 0, 0)


async def _stream(events: Events, answers: "_Answers", *, with_usage: bool) -> Replies[Event]:
    usage = Usage() if with_usage else None
    async with aclosing(events):
        async for index, event in events:
            if isinstance(event, PromptRead):
                yield Heading.of(event)
            if (choice := answers.add(index, event)) is not None:
                yield Event(answers.completion([choice], usage))
    if with_usage:
        yield Event(answers.completion([], answers.usage()))
    yield DONE


async def _whole(events: Events, answers: "_Answers") -> Response:
    headers: dict[str, str] = {}
    async with aclosing(events):
        async for index, event in events:
            if isinstance(event, PromptRead):
                headers.update(Heading.of(event).headers)
            answers.add(index, event)
    return v1_response(answers.completion(answers.choices(), answers.usage()), headers=headers)


class _Answers:
    """The answers to one request, as one object at the end or as chunks on the way. Thoughts have no place in them."""

    def __init__(self, identity: Identity, count: int) -> None:
        self._identity = identity
        self._turns = [Turn() for _ in range(count)]

    def add(self, index: int, event: TurnEvent) -> CompletionChoice | None:
        """Adds `event` to answer `index`; gives what a stream says of it."""
        turn = self._turns[index]
        offset = sum(map(len, turn.text)) if turn.likelihoods else 0
        turn.add(event)
        match event:
            case Text():
                return CompletionChoice(
                    text=event.text,
                    index=index,
                    logprobs=CompletionLogprobs.of(event.likelihoods, offset),
                    finish_reason=None,
                )
            case Finish():
                return CompletionChoice(text="", index=index, finish_reason=turn.finish_reason)
        return None

    def choices(self) -> list[CompletionChoice]:
        """All answers, when all have ended."""
        return [
            CompletionChoice(
                text="".join(turn.text),
                index=index,
                logprobs=CompletionLogprobs.of(turn.likelihoods, 0),
                finish_reason=turn.finish_reason,
            )
            for index, turn in enumerate(self._turns)
        ]

    def usage(self) -> Usage:
        return Usage.of([turn.finish for turn in self._turns if turn.finish is not None])

    def completion(self, choices: list[CompletionChoice], usage: Usage | None) -> Completion:
        identity = self._identity
        return Completion(
            id=identity.id,
            object="text_completion",
            created=identity.created_s,
            model=identity.model,
            system_fingerprint=FINGERPRINT,
            choices=choices,
            usage=usage,
        )
