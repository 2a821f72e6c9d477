"""POST /api/chat: conversation, load and unload."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.errors import InvalidRequestError, PromptTooLongError, UnsupportedError
from swell.server.api import checks
from swell.server.api.bodies import ChatBody, keep_alive, read_body, think
from swell.server.api.completion import BuildPrompt, Job, complete, job_of, load, tokenize_rendered
from swell.server.api.disconnects import LineStream, while_connected
from swell.server.api.responses import ChatReply, ReplyMessage, all_logprobs, created_at, json_response, logprob_list
from swell.server.api.services import services
from swell.server.generation import Piece
from swell.server.models.model import Model
from swell.server.prompts.fitting import drop_oldest, fits
from swell.server.prompts.messages import Message, refuse_images
from swell.server.prompts.template import render
from swell.server.runner import Runner


async def chat(request: Request) -> Response:
    """The endpoint. The checks are in the order in which Ollama makes them."""
    started_ns = time.perf_counter_ns()
    body = await read_body(request, ChatBody)
    keep_alive_s, thinking = keep_alive(body.keep_alive), think(body.think)
    checks.check_top_logprobs(body.top_logprobs)
    if not body.model:
        raise InvalidRequestError("model is required")
    model = await checks.find_model(request, body.model)
    if not body.messages and keep_alive_s == 0:
        await services(request).scheduler.unload(model)
        return json_response(_without_text(body, "unload"))
    _check_abilities(body, model, thinking)
    job = job_of(request, body, model, keep_alive_s, started_ns)
    if not body.messages:
        await load(request, model, keep_alive_s, job.options)
        return json_response(_without_text(body, "load"))
    replies = _replies(job, body, None if thinking is None else bool(thinking))
    if body.stream:
        return LineStream(replies)
    return json_response(await while_connected(request.receive, _collect(replies)))


def _check_abilities(body: ChatBody, model: Model, thinking: bool | str | None) -> None:
    checks.check_thinking(body.model, model, thinking)
    checks.check_completes(body.model, model, "chat")
    if body.tools and "tools" not in model.capabilities:
        raise UnsupportedError(model.full_name, "tools")
    for message in body.messages:
        refuse_images(model, message.images)
    checks.check_features(body)


def _without_text(body: ChatBody, reason: str) -> ChatReply:
    message = ReplyMessage(content="")
    return ChatReply(model=body.model, created_at=created_at(), message=message, done=True, done_reason=reason)


async def _replies(job: Job, body: ChatBody, thinking: bool | None) -> AsyncGenerator[ChatReply, None]:
    async with aclosing(complete(job, _prompt_builder(job, body, thinking))) as events:
        async for event in events:
            if isinstance(event, Piece):
                message = ReplyMessage(content=event.text)
                yield ChatReply(
                    model=body.model,
                    created_at=created_at(),
                    message=message,
                    done=False,
                    logprobs=logprob_list(event.likelihoods),
                )
            else:
                message = ReplyMessage(content="")
                yield ChatReply(
                    model=body.model, created_at=created_at(), message=message, done=True, **event._asdict()
                )


async def _collect(replies: AsyncGenerator[ChatReply, None]) -> ChatReply:
    """The last reply with the text of all."""
    async with aclosing(replies):
        everything = [reply async for reply in replies]
    message = ReplyMessage(content="".join(reply.message.content for reply in everything))
    return msgspec.structs.replace(everything[-1], message=message, logprobs=all_logprobs(everything))


def _prompt_builder(job: Job, body: ChatBody, thinking: bool | None) -> BuildPrompt:
    """Renders the conversation; drops its oldest messages if it must and may. Raises PromptTooLongError."""

    async def build(runner: Runner, window_tokens: int) -> list[int]:
        tokens: list[int] = []
        measured: Sequence[Message] = ()

        async def count(messages: Sequence[Message]) -> int:
            nonlocal tokens, measured
            text = render(
                job.model.chat_template,
                [message.for_template() for message in messages],
                bos_token=runner.facts.bos_text,
                eos_token=runner.facts.eos_text,
                enable_thinking=thinking,
            )
            tokens, measured = await tokenize_rendered(runner, text), messages
            return len(tokens)

        kept = await drop_oldest(body.messages, window_tokens, count) if body.truncate else body.messages
        if kept is not measured:
            await count(kept)
        if not fits(len(tokens), window_tokens):
            raise PromptTooLongError(len(tokens), window_tokens)
        return tokens

    return build
