"""POST /api/generate: completion, load and unload."""

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
from swell.api.ollama.bodies import GenerateBody, keep_alive, think
from swell.api.ollama.lines import LineStream
from swell.api.ollama.replies import GenerateReply, all_logprobs, created_at, finish_fields, logprob_list
from swell.api.ollama.requests import check_generate, text_completion_of, turn_request
from swell.errors import ModelNotFoundError
from swell.text.parsing.parts import Likelihood, Text, Thought
from swell.turns import checks
from swell.turns.completion import complete, load
from swell.turns.events import Finish, PromptRead
from swell.turns.request import TurnRequest
from swell.turns.services import Services
from swell.turns.text_completion import TextCompletionPrompt


async def generate(request: Request) -> Response:
    """The endpoint. The checks are in the order in which Ollama makes them."""
    started_ns = time.perf_counter_ns()
    body = await read_body(request, GenerateBody)
    keep_alive_s, thinking = keep_alive(body.keep_alive), think(body.think)
    checks.check_top_logprobs(body.top_logprobs)
    if not body.model:
        raise ModelNotFoundError("")
    parts, model = services(request), await find_model(request, body.model)
    if not body.prompt and keep_alive_s == 0:
        await parts.scheduler.unload(model)
        return json_response(_without_text(body, "unload"))
    check_generate(body, model, thinking)
    turn = turn_request(body, model, keep_alive_s, started_ns)
    if not body.prompt:
        await while_connected(request.receive, load(parts, turn))
        return json_response(_without_text(body, "load"))
    prompt = TextCompletionPrompt(parts, turn, text_completion_of(body, thinking))
    replies = _replies(parts, turn, body, prompt)
    if body.stream:
        return LineStream(replies, lambda: _line(body, ""))
    return await while_connected(request.receive, _whole(replies))


def _without_text(body: GenerateBody, reason: str) -> GenerateReply:
    return GenerateReply(model=body.model, created_at=created_at(), response="", done=True, done_reason=reason)


async def _replies(
    parts: Services, turn: TurnRequest, body: GenerateBody, prompt: TextCompletionPrompt
) -> Replies[GenerateReply]:
    async with aclosing(complete(parts, turn, prompt)) as events:
        async for event in events:
            match event:
                case PromptRead():
                    yield Heading.of(event)
                case Text():
                    yield _line(body, event.text, likelihoods=event.likelihoods)
                case Thought():
                    yield _line(body, "", event.text, event.likelihoods)
                case Finish():
                    context = None if event.error else prompt.context(event.tokens)
                    last = _line(body, "")
                    yield msgspec.structs.replace(last, done=True, context=context, **finish_fields(event))


def _line(
    body: GenerateBody, response: str, thinking: str = "", likelihoods: Sequence[Likelihood] = ()
) -> GenerateReply:
    return GenerateReply(
        model=body.model,
        created_at=created_at(),
        response=response,
        thinking=thinking,
        done=False,
        logprobs=logprob_list(likelihoods),
    )


async def _whole(replies: Replies[GenerateReply]) -> Response:
    """One answer: the last line, with the texts of all lines."""
    lines, headers = await gather(replies)
    reply = msgspec.structs.replace(
        lines[-1],
        response="".join(line.response for line in lines),
        thinking="".join(line.thinking for line in lines),
        logprobs=all_logprobs(lines),
    )
    return json_response(reply, headers=headers)
