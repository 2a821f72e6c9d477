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
from swell.api.ollama.bodies import ChatBody
from swell.api.ollama.requests import check_chat, turn_request
from swell.errors import InterruptedTurnError, InvalidRequestError, RequestError
from swell.models.model import Model
from swell.text.parsing.parts import ToolCall
from swell.turns.checks import check_top_logprobs
from swell.turns.conversation import Conversation
from swell.turns.events import Finish, PromptRead, TurnEvent
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
    """The model that `body` names, after the first checks of /api/chat. Raises a RequestError."""
    check_top_logprobs(body.top_logprobs)
    if not body.model:
        raise InvalidRequestError("model is required")
    return await find_model(request, body.model)


def open_conversation(
    body: ChatBody, model: Model, must_call: Sequence[str], started_ns: int
) -> tuple[TurnRequest, Conversation]:
    """The turn that `body` asks for, after the other checks of /api/chat. Raises a RequestError.

    `started_ns` is by `time.perf_counter_ns`.
    """
    check_chat(body, model, body.think)
    conversation = Conversation(
        messages=body.messages, tools=body.tools, thinking=body.think, truncate=body.truncate, must_call=must_call
    )
    return turn_request(body, model, None, started_ns), conversation


def required_schema(schema: dict[str, Any] | None) -> dict[str, Any]:
    """Raises InvalidRequestError where there is none: an answer in any form is not what was asked for."""
    if schema is None:
        raise InvalidRequestError('a format of the type "json_schema" must have a schema')
    return schema


class TurnWriter(Protocol):
    """Puts a model's turn into the words of one API."""

    def add(self, event: TurnEvent) -> Iterable[Event]:
        """Adds `event` to the answer; gives the events of the stream that it causes. The iterator must be used up."""

    def whole(self) -> Any:
        """The whole answer, when the turn has ended."""


async def in_events(turn: AsyncGenerator[TurnEvent, None], writer: TurnWriter) -> Replies[Event]:
    """The events of a streamed answer; headers first."""
    async with aclosing(turn):
        async for event in turn:
            if isinstance(event, PromptRead):
                yield Heading.of(event)
            for one in writer.add(event):
                yield one


async def in_one_piece(turn: AsyncGenerator[TurnEvent, None], writer: TurnWriter) -> Response:
    """Uses up `turn`; the whole answer as one response."""
    headers: dict[str, str] = {}
    async with aclosing(turn):
        async for event in turn:
            if isinstance(event, PromptRead):
                headers.update(Heading.of(event).headers)
            for _ in writer.add(event):
                pass
    return v1_response(writer.whole(), headers=headers)


async def unbroken(events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[TurnEvent, None]:
    """`events`, except that a turn that ends with an error raises InterruptedTurnError.

    Ollama's answers carry such an error beside their text, these APIs' can't.
    """
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Finish) and event.error:
                raise InterruptedTurnError(event.error)
            yield event


async def with_one_call(events: AsyncGenerator[TurnEvent, None]) -> AsyncGenerator[TurnEvent, None]:
    """`events` without calls of tools after the first one: for a client that asked for one at a time."""
    has_called = False
    async with aclosing(events):
        async for event in events:
            if isinstance(event, ToolCall):
                if has_called:
                    continue
                has_called = True
            yield event


def several(turn: TurnRequest, count: int) -> list[TurnRequest]:
    """`count` copies of `turn` for as many answers. A given seed is raised by one each time, so that they differ."""
    seed = turn.options.seed
    if seed < 0:
        return [turn] * count
    return [replace(turn, options=msgspec.structs.replace(turn.options, seed=seed + index)) for index in range(count)]
