"""What all endpoints under /v1 share, OpenAI's and Anthropic's."""

import secrets
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.errors import status_of
from swell.api.http.events import Event
from swell.api.http.json import json_response
from swell.api.http.services import find_model
from swell.api.http.streams import Heading, Replies
from swell.api.ollama.asked import check_chat, turn_request
from swell.api.ollama.bodies import ChatBody
from swell.errors import InterruptedTurnError, InvalidRequestError, RequestError
from swell.models.model import Model
from swell.turns.checks import check_top_logprobs
from swell.turns.conversation import Conversation
from swell.turns.events import Finish, Prompted, TurnEvent
from swell.turns.request import TurnRequest


def v1_response(content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content`, anything msgspec can encode, as a JSON body."""
    return json_response(content, status_code, {"content-type": "application/json", **(headers or {})})


def v1_status_of(error: Exception) -> int:
    """The native endpoints' status, but 400 where those call a bad request a failure of the server.

    The clients of these APIs repeat a request that is answered by a 5xx.
    """
    status = status_of(error)
    return 400 if isinstance(error, RequestError) and status in (500, 501) else status


def random_id(prefix: str, digits: int = 24) -> str:
    """`prefix` and so many random hexadecimal digits."""
    return prefix + secrets.token_hex(digits)[:digits]


async def find_chat_model(request: Request, body: ChatBody) -> Model:
    """The model that `body` names. The first of the checks of /api/chat."""
    check_top_logprobs(body.top_logprobs)
    if not body.model:
        raise InvalidRequestError("model is required")
    return await find_model(request, body.model)


def open_conversation(
    body: ChatBody, model: Model, must_call: Sequence[str], started_ns: int
) -> tuple[TurnRequest, Conversation]:
    """What `body` asks of `model`: the rest of the checks. `started_ns` is by `time.perf_counter_ns`."""
    check_chat(body, model, body.think)
    conversation = Conversation(
        messages=body.messages, tools=body.tools, thinking=body.think, truncate=body.truncate, must_call=must_call
    )
    return turn_request(body, model, None, started_ns), conversation


class TurnWriter(Protocol):
    """Puts a model's turn into the words of one API."""

    def add(self, event: TurnEvent) -> Iterable[Event]:
        """Takes `event` in; gives what a stream says of it. Must be used up."""

    def whole(self) -> Any:
        """The whole answer, when the turn has ended."""


async def in_events(turn: AsyncGenerator[TurnEvent, None], writer: TurnWriter) -> Replies[Event]:
    """`turn` as a stream."""
    async with aclosing(turn):
        async for event in turn:
            if isinstance(event, Prompted):
                yield Heading.of(event)
            for one in writer.add(event):
                yield one


async def in_one_piece(turn: AsyncGenerator[TurnEvent, None], writer: TurnWriter) -> Response:
    """`turn` as one answer."""
    headers: dict[str, str] = {}
    async with aclosing(turn):
        async for event in turn:
            if isinstance(event, Prompted):
                headers.update(Heading.of(event).headers)
            for _ in writer.add(event):
                pass
    return v1_response(writer.whole(), headers=headers)


async def unbroken(events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[TurnEvent, None]:
    """`events`, but InterruptedTurnError for an end by an error, which Ollama's answers carry beside their text."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish) and event.error:
                raise InterruptedTurnError(event.error)
            yield event


def several(turn: TurnRequest, count: int) -> list[TurnRequest]:
    """`turn` so many times. A seed is raised by one each time: with the same one for all, all would be the same."""
    seed = turn.options.seed
    if seed < 0:
        return [turn] * count
    return [replace(turn, options=msgspec.structs.replace(turn.options, seed=seed + index)) for index in range(count)]
