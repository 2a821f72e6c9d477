"""POST /api/generate: completion, load and unload."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.disconnects import Heading, LineStream, Replies, gather, while_connected
from swell.api.ollama.bodies import GenerateBody, keep_alive, read_body, think
from swell.api.ollama.replies import GenerateReply, all_logprobs, created_at, json_response, logprob_list
from swell.errors import (
    InvalidRequestError,
    ModelNotFoundError,
    PromptTooLongError,
    UnshiftablePromptError,
    UnsupportedError,
)
from swell.models.model import Model
from swell.protocol.messages import Loaded
from swell.supervisor.runner import Runner
from swell.text.parsing.parts import Likelihood, Part, Text, Thought
from swell.text.prompts.fitting import fits, truncate_around, truncate_tokens
from swell.text.prompts.messages import prompt_messages, refuse_images
from swell.text.prompts.override import render_override
from swell.turns import checks
from swell.turns.completion import Finish, Prompt, Prompted, TurnRequest, complete, job_of, load, tokenize_rendered
from swell.turns.rendering import Rendering
from swell.turns.services import services


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
    check_abilities(body, model, thinking)
    job = job_of(request, body, model, keep_alive_s, started_ns)
    if not body.prompt:
        await load(request, model, keep_alive_s, job.options)
        return json_response(_without_text(body, "load"))
    replies = _replies(job, body, thinking)
    return LineStream(replies) if body.stream else await while_connected(request.receive, _whole(replies))


def check_abilities(body: GenerateBody, model: Model, thinking: bool | str | None) -> None:
    if body.raw and (body.template or body.system or body.context):
        raise InvalidRequestError("raw mode does not support template, system, or context")
    checks.check_thinking(body.model, model, thinking)
    checks.check_completes(body.model, model, "generate")
    if body.suffix and "insert" not in model.capabilities:
        raise UnsupportedError(model.full_name, "insert")
    refuse_images(model, body.images)
    render_override(body.template, system=body.system, prompt=body.prompt)  # for its errors
    checks.check_features(body)
    if any(not 0 <= token < model.vocabulary_tokens for token in body.context):
        raise InvalidRequestError("context holds a number that is no token of this model")


def _without_text(body: GenerateBody, reason: str) -> GenerateReply:
    return GenerateReply(model=body.model, created_at=created_at(), response="", done=True, done_reason=reason)


def completed(job: TurnRequest, body: GenerateBody) -> AsyncGenerator[Prompted | Part | Finish, None]:
    """What the model makes of `body`, for endpoints with words of their own."""
    return complete(job, _Builder(job, body, None).build)


async def _replies(job: TurnRequest, body: GenerateBody, thinking: bool | str | None) -> Replies[GenerateReply]:
    prompt = _Builder(job, body, thinking)
    async with aclosing(complete(job, prompt.build)) as events:
        async for event in events:
            match event:
                case Prompted():
                    yield Heading(event.headers())
                case Text():
                    yield _line(body, event.text, likelihoods=event.likelihoods)
                case Thought():
                    yield _line(body, "", event.text, event.likelihoods)
                case Finish():
                    context = None if event.error else prompt.context(event.tokens)
                    last = _line(body, "")
                    yield msgspec.structs.replace(last, done=True, context=context, **event.fields())


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
    """The last line with what all say."""
    lines, headers = await gather(replies)
    reply = msgspec.structs.replace(
        lines[-1],
        response="".join(line.response for line in lines),
        thinking="".join(line.thinking for line in lines),
        logprobs=all_logprobs(lines),
    )
    return json_response(reply, headers=headers)


class _Builder:
    """Makes a request's prompt once the runner is known, which tokenises it."""

    def __init__(self, job: TurnRequest, body: GenerateBody, thinking: bool | str | None) -> None:
        self._job = job
        self._body = body
        self._rendering = Rendering(job.model, job.services.renderer, thinking=thinking)
        self._text = ""
        self._conversation: list[int] = []

    async def build(self, runner: Runner, window_tokens: int) -> Prompt:
        """The prompt, cut to fit if the request allows it."""
        if self._body.suffix and runner.facts.middle_tokens is not None:
            return await self._around(runner, runner.facts.middle_tokens, window_tokens)
        if self._body.raw:
            tokens = await runner.tokenize(
                self._body.prompt, add_special=True, parse_special=True, limit_tokens=window_tokens
            )
            kept = self._fitted(tokens, runner.facts, window_tokens)
            return Prompt(tokens=kept, dropped_tokens=len(tokens) - len(kept))
        tokens = await self._rendered(runner, window_tokens)
        kept = self._fitted(tokens, runner.facts, window_tokens)
        return self._rendering.prompt(self._text, kept, dropped_tokens=len(tokens) - len(kept))

    def context(self, output: Sequence[int]) -> list[int] | None:
        """The field `context` of the last reply: the conversation up to here. None for raw prompts and gaps."""
        return None if self._body.raw or self._body.suffix else [*self._conversation, *output]

    def _fitted(self, tokens: list[int], facts: Loaded, window_tokens: int) -> list[int]:
        if fits(len(tokens), window_tokens):
            return tokens
        if not self._body.truncate:
            raise PromptTooLongError(len(tokens), window_tokens)
        if not self._job.shifts:
            raise UnshiftablePromptError(len(tokens), window_tokens)
        return truncate_tokens(tokens, window_tokens, self._job.keep_tokens(facts))

    async def _rendered(self, runner: Runner, window_tokens: int) -> list[int]:
        """The request's own `context` goes before the new turn, but after the BOS that the tokenizer adds."""
        body, facts = self._body, runner.facts
        if body.template:
            self._text = render_override(body.template, system=body.system, prompt=body.prompt)
        else:
            self._text = await self._rendering.text(prompt_messages(body.prompt, body.system), facts)
        tokens = await tokenize_rendered(runner, self._text, window_tokens)
        bos, turn = tokens[: facts.add_bos], tokens[facts.add_bos :]
        self._conversation = body.context + turn
        return self._conversation if body.context[: facts.add_bos] == bos else bos + self._conversation

    async def _around(self, runner: Runner, marks: tuple[int, int, int], window_tokens: int) -> Prompt:
        """The prompt for what belongs between `prompt` and `suffix`; of text that is too long, the nearest stays."""
        before, after, middle = marks
        bos = (await runner.tokenize("", add_special=True, parse_special=False))[: runner.facts.add_bos]
        prefix, suffix = [
            await runner.tokenize(text, add_special=False, parse_special=False, limit_tokens=window_tokens)
            for text in (self._body.prompt, self._body.suffix)
        ]
        all_tokens = len(bos) + len(prefix) + len(suffix) + len(marks)
        if not fits(all_tokens, window_tokens):
            if not self._body.truncate:
                raise PromptTooLongError(all_tokens, window_tokens)
            prefix, suffix = truncate_around(prefix, suffix, max(window_tokens // 2 - len(bos) - len(marks), 0))
        tokens = [*bos, before, *prefix, after, *suffix, middle]
        if not fits(len(tokens), window_tokens):
            raise PromptTooLongError(all_tokens, window_tokens)
        return Prompt(tokens=tokens, dropped_tokens=all_tokens - len(tokens))
