"""POST /api/generate: completion, load and unload."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.errors import InvalidRequestError, ModelNotFoundError, PromptTooLongError, UnsupportedError
from swell.server.api import checks
from swell.server.api.bodies import GenerateBody, keep_alive, read_body, think
from swell.server.api.completion import Job, complete, job_of, load, tokenize_rendered
from swell.server.api.disconnects import LineStream, while_connected
from swell.server.api.responses import GenerateReply, all_logprobs, created_at, json_response, logprob_list
from swell.server.api.services import services
from swell.server.generation import Piece
from swell.server.models.model import Model
from swell.server.prompts.fitting import fits, truncate_tokens
from swell.server.prompts.messages import prompt_messages, refuse_images
from swell.server.prompts.template import render
from swell.server.runner import Runner

_TOO_LONG_TO_SHIFT = (
    "the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the "
    "context length in settings, or use a model with a longer context length"
)


async def generate(request: Request) -> Response:
    """The endpoint. The checks are in the order in which Ollama makes them."""
    started_ns = time.perf_counter_ns()
    body = await read_body(request, GenerateBody)
    keep_alive_s, thinking = keep_alive(body.keep_alive), think(body.think)
    checks.check_top_logprobs(body.top_logprobs)
    if not body.model:
        raise ModelNotFoundError("")
    model = await checks.find_model(request, body.model)
    if not body.prompt and keep_alive_s == 0:
        await services(request).scheduler.unload(model)
        return json_response(_without_text(body, "unload"))
    _check_abilities(body, model, thinking)
    job = job_of(request, body, model, keep_alive_s, started_ns)
    if not body.prompt:
        await load(request, model, keep_alive_s, job.options)
        return json_response(_without_text(body, "load"))
    replies = _replies(job, body, None if thinking is None else bool(thinking))
    if body.stream:
        return LineStream(replies)
    return json_response(await while_connected(request.receive, _collect(replies)))


def _check_abilities(body: GenerateBody, model: Model, thinking: bool | str | None) -> None:
    if body.raw and (body.template or body.system or body.context):
        raise InvalidRequestError("raw mode does not support template, system, or context")
    checks.check_thinking(body.model, model, thinking)
    checks.check_completes(body.model, model, "generate")
    if body.suffix and "insert" not in model.capabilities:
        raise UnsupportedError(model.full_name, "insert")
    refuse_images(model, body.images)
    if body.template:
        raise InvalidRequestError("Go templates in requests (template) are not supported in this version")
    checks.check_features(body)
    if any(not 0 <= token < model.vocabulary_tokens for token in body.context):
        raise InvalidRequestError("context holds a number that is no token of this model")


def _without_text(body: GenerateBody, reason: str) -> GenerateReply:
    return GenerateReply(model=body.model, created_at=created_at(), response="", done=True, done_reason=reason)


async def _replies(job: Job, body: GenerateBody, thinking: bool | None) -> AsyncGenerator[GenerateReply, None]:
    prompt = _Prompt(job, body, thinking)
    text: list[str] = []
    async with aclosing(complete(job, prompt.build)) as events:
        async for event in events:
            if isinstance(event, Piece):
                text.append(event.text)
                yield GenerateReply(
                    model=body.model,
                    created_at=created_at(),
                    response=event.text,
                    done=False,
                    logprobs=logprob_list(event.likelihoods),
                )
            else:
                context = await prompt.context_with("".join(text))
                yield GenerateReply(
                    model=body.model,
                    created_at=created_at(),
                    response="",
                    done=True,
                    context=context,
                    **event._asdict(),
                )


async def _collect(replies: AsyncGenerator[GenerateReply, None]) -> GenerateReply:
    """The last reply with the text of all."""
    async with aclosing(replies):
        everything = [reply async for reply in replies]
    return msgspec.structs.replace(
        everything[-1],
        response="".join(reply.response for reply in everything),
        logprobs=all_logprobs(everything),
    )


class _Prompt:
    """A request's prompt, made once the runner is known, which tokenises it."""

    def __init__(self, job: Job, body: GenerateBody, thinking: bool | None) -> None:
        self._job = job
        self._body = body
        self._thinking = thinking
        self._runner: Runner | None = None
        self._text = ""

    async def build(self, runner: Runner, window_tokens: int) -> list[int]:
        """The prompt's tokens, cut to fit if the request allows it."""
        self._runner = runner
        tokens = await (self._raw(runner) if self._body.raw else self._rendered(runner))
        if fits(len(tokens), window_tokens):
            return tokens
        if not self._body.truncate:
            raise PromptTooLongError(len(tokens), window_tokens)
        if not self._job.shifts:
            raise InvalidRequestError(_TOO_LONG_TO_SHIFT)
        return truncate_tokens(tokens, window_tokens, self._job.keep_tokens(runner.facts))

    async def context_with(self, generated: str) -> list[int] | None:
        """The field `context` of the last reply; None for raw prompts."""
        if self._body.raw or self._runner is None:
            return None
        text = self._text + generated
        return self._body.context + await self._runner.tokenize(text, add_special=False, parse_special=True)

    async def _raw(self, runner: Runner) -> list[int]:
        return await runner.tokenize(self._body.prompt, add_special=True, parse_special=True)

    async def _rendered(self, runner: Runner) -> list[int]:
        """The request's own `context` goes before the new turn, but after the BOS that the tokenizer adds."""
        facts = runner.facts
        self._text = render(
            self._job.model.chat_template,
            [message.for_template() for message in prompt_messages(self._body.prompt, self._body.system)],
            bos_token=facts.bos_text,
            eos_token=facts.eos_text,
            enable_thinking=self._thinking,
        )
        tokens = await tokenize_rendered(runner, self._text)
        context = self._body.context
        if not (context and facts.add_bos):
            return context + tokens
        bos, rest = tokens[:1], tokens[1:]
        return context + rest if context[:1] == bos else bos + context + rest
