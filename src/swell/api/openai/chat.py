"""POST /v1/chat/completions."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.body import read_body
from swell.api.http.disconnects import while_connected
from swell.api.http.events import Event, EventStream
from swell.api.http.services import services
from swell.api.http.side_by_side import side_by_side
from swell.api.http.streams import Heading, Replies
from swell.api.openai.bodies import ChatRequest
from swell.api.openai.conversion import chat_body, tools_and_required
from swell.api.openai.errors import error_event
from swell.api.openai.replies import DONE, Identity
from swell.api.openai.turns import Turns
from swell.api.v1 import find_chat_model, open_conversation, several, unbroken, v1_response, with_one_call
from swell.turns.conversation import converse
from swell.turns.events import PromptRead, TurnEvent

Events = AsyncGenerator[tuple[int, TurnEvent], None]


async def chat_completions(request: Request) -> Response:
    """The endpoint. Its checks are those of /api/chat, after the body's own."""
    started_ns = time.perf_counter_ns()
    wanted = await read_body(request, ChatRequest)
    body = chat_body(wanted)
    body.tools, must_call = tools_and_required(body.tools, wanted.tool_choice)
    model = await find_chat_model(request, body)
    turn, conversation = open_conversation(body, model, must_call, started_ns)
    parts = services(request)
    answers = [unbroken(converse(parts, one, conversation)) for one in several(turn, wanted.n)]
    events = side_by_side(answers if wanted.parallel_tool_calls else [with_one_call(one) for one in answers])
    turns = Turns(Identity.new("chatcmpl", wanted.model), wanted.n)
    if wanted.stream:
        return EventStream(_stream(events, turns, with_usage=wanted.stream_options.include_usage), error_event)
    return await while_connected(request.receive, _whole(events, turns))


async def _stream(events: Events, turns: Turns, *, with_usage: bool) -> Replies[Event]:
    async with aclosing(events):
        async for index, event in events:
            if isinstance(event, PromptRead):
                yield Heading.of(event)
            for chunk in turns.chunks(index, event):
                yield Event(chunk)
    if with_usage:
        yield Event(turns.usage_chunk())
    yield DONE


async def _whole(events: Events, turns: Turns) -> Response:
    headers: dict[str, str] = {}
    async with aclosing(events):
        async for index, event in events:
            if isinstance(event, PromptRead):
                headers.update(Heading.of(event).headers)
            turns.add(index, event)
    return v1_response(turns.completion(), headers=headers)
