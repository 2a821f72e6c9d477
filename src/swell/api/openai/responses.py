"""POST /v1/responses and /v1/responses/input_tokens."""

import time

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.body import read_body
from swell.api.http.disconnects import while_connected
from swell.api.http.events import EventStream
from swell.api.http.services import services
from swell.api.openai.bodies import ResponseRequest
from swell.api.openai.conversion import tools_and_required
from swell.api.openai.items import response_body
from swell.api.openai.offered import offered_tools
from swell.api.openai.output import begun
from swell.api.openai.writing import ResponseWriter
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


class InputTokens(msgspec.Struct, kw_only=True):
    """The answer of /v1/responses/input_tokens."""

    object: str = "response.input_tokens"
    input_tokens: int


async def responses(request: Request) -> Response:
    """The endpoint. Its checks are those of /api/chat, after the body's own. No answer is kept for later."""
    wanted = await read_body(request, ResponseRequest)
    asked, conversation = await _open(request, wanted)
    turn = unbroken(converse(services(request), asked, conversation))
    turn = turn if wanted.parallel_tool_calls else with_one_call(turn)
    writer = ResponseWriter(begun(wanted), offered_tools(wanted))
    if wanted.stream:
        return EventStream(in_events(turn, writer), writer.failed)
    return await while_connected(request.receive, in_one_piece(turn, writer))


async def input_tokens(request: Request) -> Response:
    """How many tokens the prompt has, which loads the model but computes nothing."""
    asked, conversation = await _open(request, await read_body(request, ResponseRequest))
    tokens = await while_connected(request.receive, count_tokens_of(services(request), asked, conversation))
    return v1_response(InputTokens(input_tokens=tokens))


async def _open(request: Request, wanted: ResponseRequest) -> tuple[TurnRequest, Conversation]:
    started_ns = time.perf_counter_ns()
    body = response_body(wanted)
    body.tools, must_call = tools_and_required(body.tools, wanted.tool_choice)
    model = await find_chat_model(request, body)
    return open_conversation(body, model, must_call, started_ns)
