"""POST /api/chat: conversation, load and unload."""

import time
from collections.abc import Sequence
from contextlib import aclosing

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.body import read_body
from swell.api.http.disconnects import while_connected
from swell.api.http.json import json_response
from swell.api.http.services import find_model, services
from swell.api.http.streams import Heading, Replies, gather
from swell.api.ollama.bodies import ChatBody, keep_alive, think
from swell.api.ollama.lines import LineStream
from swell.api.ollama.replies import (
    ChatReply,
    ReplyCall,
    ReplyFunction,
    ReplyMessage,
    all_logprobs,
    created_at,
    finish_fields,
    logprob_list,
)
from swell.api.ollama.requests import check_chat, turn_request
from swell.errors import InvalidRequestError
from swell.text.parsing.parts import Likelihood, Text, Thought, ToolCall
from swell.turns import checks
from swell.turns.completion import load
from swell.turns.conversation import Conversation, converse
from swell.turns.events import Finish, PromptRead
from swell.turns.request import TurnRequest
from swell.turns.services import Services


async def chat(request: Request) -> Response:
    """The endpoint. The checks are in the order in which Ollama makes them."""
    started_ns = time.perf_counter_ns()
    body = await read_body(request, ChatBody)
    keep_alive_s, thinking = keep_alive(body.keep_alive), think(body.think)
    checks.check_top_logprobs(body.top_logprobs)
    if not body.model:
        raise InvalidRequestError("model is required")
    parts, model = services(request), await find_model(request, body.model)
    if not body.messages and keep_alive_s == 0:
        await parts.scheduler.unload(model)
        return json_response(_without_text(body, "unload"))
    check_chat(body, model, thinking)
    turn = turn_request(body, model, keep_alive_s, started_ns)
    if not body.messages:
        await while_connected(request.receive, load(parts, turn))
        return json_response(_without_text(body, "load"))
    conversation = Conversation(messages=body.messages, tools=body.tools, thinking=thinking, truncate=body.truncate)
    replies = _replies(parts, turn, body, conversation)
    if body.stream:
        return LineStream(replies, lambda: _line(body, ReplyMessage(content="")))
    return await while_connected(request.receive, _whole(replies))


def _without_text(body: ChatBody, reason: str) -> ChatReply:
    message = ReplyMessage(content="")
    return ChatReply(model=body.model, created_at=created_at(), message=message, done=True, done_reason=reason)


async def _replies(
    parts: Services, turn: TurnRequest, body: ChatBody, conversation: Conversation
) -> Replies[ChatReply]:
    """The lines of the answer. Tool calls are numbered, and come whole, each in a line of its own."""
    calls = 0
    async with aclosing(converse(parts, turn, conversation)) as events:
        async for event in events:
            match event:
                case PromptRead():
                    yield Heading.of(event)
                case Text():
                    yield _line(body, ReplyMessage(content=event.text), event.likelihoods)
                case Thought():
                    yield _line(body, ReplyMessage(content="", thinking=event.text), event.likelihoods)
                case ToolCall():
                    function = ReplyFunction(index=calls, name=event.name, arguments=event.arguments)
                    calls += 1
                    yield _line(body, ReplyMessage(content="", tool_calls=[ReplyCall(id=event.id, function=function)]))
                case Finish():
                    last = _line(body, ReplyMessage(content=""))
                    yield msgspec.structs.replace(last, done=True, **finish_fields(event))


def _line(body: ChatBody, message: ReplyMessage, likelihoods: Sequence[Likelihood] = ()) -> ChatReply:
    return ChatReply(
        model=body.model, created_at=created_at(), message=message, done=False, logprobs=logprob_list(likelihoods)
    )


async def _whole(replies: Replies[ChatReply]) -> Response:
    """One answer: the last line, with the texts and tool calls of all lines."""
    lines, headers = await gather(replies)
    messages = [line.message for line in lines]
    message = ReplyMessage(
        content="".join(message.content for message in messages),
        thinking="".join(message.thinking or "" for message in messages) or msgspec.UNSET,
        tool_calls=[call for message in messages for call in message.tool_calls or ()] or msgspec.UNSET,
    )
    reply = msgspec.structs.replace(lines[-1], message=message, logprobs=all_logprobs(lines))
    return json_response(reply, headers=headers)
