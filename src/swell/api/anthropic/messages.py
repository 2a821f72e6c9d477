"""POST /v1/messages and /v1/messages/count_tokens."""

import time

from starlette.requests import Request
from starlette.responses import Response

from swell.api.anthropic.bodies import CountRequest, MessagesRequest
from swell.api.anthropic.conversion import count_body, messages_body, tools_and_required
from swell.api.anthropic.errors import error_event
from swell.api.anthropic.replies import TokenCount
from swell.api.anthropic.writing import PING, MessageWriter
from swell.api.http.body import read_body
from swell.api.http.disconnects import while_connected
from swell.api.http.events import EventStream
from swell.api.http.services import services
from swell.api.ollama.bodies import ChatBody
from swell.api.v1 import (
    find_chat_model,
    in_events,
    in_one_piece,
    open_conversation,
    unbroken,
    v1_response,
    with_one_call,
)
from swell.turns.conversation import Conversation, converse, count_tokens_of
from swell.turns.request import TurnRequest


async def messages(request: Request) -> Response:
    """The endpoint. Its checks are those of /api/chat, after the body's own."""
    wanted = await read_body(request, MessagesRequest)
    asked, conversation = await _open(request, wanted, messages_body(wanted))
    turn, writer = unbroken(converse(services(request), asked, conversation)), MessageWriter(wanted.model)
    match wanted.tool_choice:
        case {"disable_parallel_tool_use": True}:
            turn = with_one_call(turn)
    if wanted.stream:
        return EventStream(in_events(turn, writer), error_event, ping=PING)
    return await while_connected(request.receive, in_one_piece(turn, writer))


async def count_tokens(request: Request) -> Response:
    """How many tokens the prompt has, which loads the model but computes nothing."""
    wanted = await read_body(request, CountRequest)
    asked, conversation = await _open(request, wanted, count_body(wanted))
    tokens = await while_connected(request.receive, count_tokens_of(services(request), asked, conversation))
    return v1_response(TokenCount(tokens))


async def _open(request: Request, wanted: CountRequest, body: ChatBody) -> tuple[TurnRequest, Conversation]:
    """The turn that is asked for; without thinking if the model can't."""
    started_ns = time.perf_counter_ns()
    body.tools, must_call = tools_and_required(body.tools, wanted.tool_choice)
    model = await find_chat_model(request, body)
    if "thinking" not in model.capabilities:
        body.think = None
    return open_conversation(body, model, must_call, started_ns)
