"""POST /v1/responses."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from swell.server.api.bodies import read_body
from swell.server.api.completion import Prompted
from swell.server.api.conversation import converse
from swell.server.api.disconnects import Heading, Replies, while_connected
from swell.server.api.events import Event, EventStream
from swell.server.api.openai.bodies import ResponseRequest
from swell.server.api.openai.conversion import tools_and_duty
from swell.server.api.openai.items import response_body
from swell.server.api.openai.output import begun
from swell.server.api.openai.writing import ResponseWriter
from swell.server.api.v1 import TurnEvent, find_chat_model, open_conversation, unbroken, v1_response

Events = AsyncGenerator[TurnEvent, None]


async def responses(request: Request) -> Response:
    """The endpoint. Its checks are those of /api/chat, after the body's own. No answer is kept for later."""
    started_ns = time.perf_counter_ns()
    wanted = await read_body(request, ResponseRequest)
    body = response_body(wanted)
    body.tools, must_call = tools_and_duty(body.tools, wanted.tool_choice)
    model = await find_chat_model(request, body)
    job, conversation = open_conversation(request, body, model, must_call, started_ns)
    events = unbroken(converse(job, conversation))
    writer = ResponseWriter(begun(wanted))
    if wanted.stream:
        return EventStream(_stream(events, writer), writer.failed)
    return await while_connected(request.receive, _whole(events, writer))


async def _stream(events: Events, writer: ResponseWriter) -> Replies[Event]:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Prompted):
                yield Heading(event.headers())
            for one in writer.add(event):
                yield one


async def _whole(events: Events, writer: ResponseWriter) -> Response:
    headers: dict[str, str] = {}
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Prompted):
                headers = event.headers()
            for _ in writer.add(event):
                pass
    return v1_response(writer.response(), headers=headers)
