"""POST /v1/responses."""

import time

from starlette.requests import Request
from starlette.responses import Response

from swell.server.api.bodies import read_body
from swell.server.api.conversation import converse
from swell.server.api.disconnects import while_connected
from swell.server.api.events import EventStream
from swell.server.api.openai.bodies import ResponseRequest
from swell.server.api.openai.conversion import tools_and_duty
from swell.server.api.openai.items import response_body
from swell.server.api.openai.output import begun
from swell.server.api.openai.writing import ResponseWriter
from swell.server.api.v1 import find_chat_model, in_events, in_one_piece, open_conversation, unbroken


async def responses(request: Request) -> Response:
    """The endpoint. Its checks are those of /api/chat, after the body's own. No answer is kept for later."""
    started_ns = time.perf_counter_ns()
    wanted = await read_body(request, ResponseRequest)
    body = response_body(wanted)
    body.tools, must_call = tools_and_duty(body.tools, wanted.tool_choice)
    model = await find_chat_model(request, body)
    job, conversation = open_conversation(request, body, model, must_call, started_ns)
    turn = unbroken(converse(job, conversation))
    writer = ResponseWriter(begun(wanted))
    if wanted.stream:
        return EventStream(in_events(turn, writer), writer.failed)
    return await while_connected(request.receive, in_one_piece(turn, writer))
