"""What generate and chat do alike: load, tokenise, generate, parse, measure."""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from starlette.requests import Request

from swell.api.http.disconnects import while_connected
from swell.api.ollama.bodies import Common
from swell.errors import InvalidRequestError, KvGrowError, SwellError, UnreadError
from swell.models.model import Model
from swell.options import Options, merge
from swell.protocol.messages import Emitted, Loaded
from swell.sampling import ThinkingPreamble
from swell.supervisor.runner import Runner
from swell.supervisor.stream import Event
from swell.text.parsing.parser import Parser, Plain
from swell.text.parsing.parts import Part
from swell.turns import checks
from swell.turns.generation import Generation, GenerationParams, window_tokens
from swell.turns.recovery.ladder import RecoveryStep, possible_cells
from swell.turns.recovery.recovery import Recovery, retried
from swell.turns.repetition import Repetition
from swell.turns.services import Services, services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TurnRequest:
    """A checked request. `started_ns` is when it came, by `time.perf_counter_ns`.

    `shifts`: the middle of the conversation may be given up when the window is full. `schema` is a JSON schema for the
    output; `top_logprobs` is None where no likelihoods are wanted. `content` is all that the request consists of.
    """

    services: Services
    model: Model
    options: Options
    keep_alive_s: float | None
    started_ns: int
    shifts: bool = True
    schema: str | None = None
    top_logprobs: int | None = None
    content: object = None

    def recovery(self) -> Recovery:
        """How the request goes on after failures."""
        return self.services.recovery(self.model, self.options, self.content)

    def keep_tokens(self, facts: Loaded) -> int:
        """How many tokens at the beginning a shift or a cut must keep; negative is as many as possible."""
        wanted = self.options.num_keep
        return wanted + facts.add_bos if wanted >= 0 else wanted

    def wish(self, facts: Loaded, window_tokens: int, prompt: "Prompt") -> GenerationParams:
        keep = self.keep_tokens(facts)
        return GenerationParams(
            keep_tokens=(window_tokens if keep < 0 else keep) if self.shifts else None,
            schema=self.schema,
            preamble=prompt.preamble,
            top_logprobs=self.top_logprobs,
            visible=prompt.visible,
            dropped_tokens=prompt.dropped_tokens,
        )


def job_of(request: Request, body: Common, model: Model, keep_alive_s: float | None, started_ns: int) -> TurnRequest:
    """What `body` asks of `model`; raises InvalidOptionError or InvalidFormatError.

    The window of DeepSeek 2 shifts only if that is asked for, as in Ollama.
    """
    return TurnRequest(
        services(request),
        model,
        merge(body.options),
        keep_alive_s,
        started_ns,
        shifts=model.architecture != "deepseek2" if body.shift is None else body.shift,
        schema=checks.schema_of(body.format),
        top_logprobs=checks.top_logprobs(body),
        content=body,
    )


class Finish(NamedTuple):
    """The end of a generation: why, and the API's numbers in the order of its fields. Durations are nanoseconds.

    With the reason "error", `error` says which one. `resumed` is what was tried, successfully in the end, to go on.
    `tokens` are those of the output. `cached_tokens` of the prompt needn't be computed. `stop` is the stop string that
    ended it, if one did.
    """

    done_reason: str
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
    error: str = ""
    resumed: tuple[str, ...] = ()
    tokens: Sequence[int] = ()
    cached_tokens: int = 0
    stop: str = ""

    def fields(self) -> dict[str, Any]:
        """Those of the last line of an answer, by their names in Ollama's API."""
        fields = self._asdict()
        del fields["tokens"], fields["cached_tokens"], fields["stop"]
        return fields


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a model gets, and how to read what it writes then.

    `preamble`: what may stand before output that must follow a schema. `visible`: control tokens that `parser` has to
    see. The dropped messages and tokens are those that didn't fit.
    """

    tokens: list[int]
    parser: Parser = field(default_factory=Plain)
    preamble: ThinkingPreamble | None = None
    visible: Sequence[str] = ()
    dropped_messages: int = 0
    dropped_tokens: int = 0


class Prompted(NamedTuple):
    """The prompt was read. Its length counts what was cached; the dropped is what didn't fit."""

    prompt_tokens: int
    dropped_messages: int
    dropped_tokens: int
    cached_tokens: int = 0

    def headers(self) -> dict[str, str]:
        """Says in an answer what was dropped; Ollama's own fields have no place for it."""
        dropped = {"swell-dropped-messages": self.dropped_messages, "swell-dropped-tokens": self.dropped_tokens}
        return {name: str(count) for name, count in dropped.items() if count}


BuildPrompt = Callable[[Runner, int], Awaitable[Prompt]]
"""Makes the prompt for a runner and a window of that many tokens; raises a RequestError if it can't be made to fit."""


async def load(request: Request, model: Model, keep_alive_s: float | None, options: Options) -> None:
    """Returns when the model is loaded. Raises ClientDisconnect if the client doesn't wait for it."""

    async def use(_runner: Runner) -> None:
        """To be there is enough."""

    recovery = services(request).recovery(model, options, content=None)
    await while_connected(request.receive, retried(recovery, keep_alive_s, use))


async def complete(job: TurnRequest, build_prompt: BuildPrompt) -> AsyncGenerator[Prompted | Part | Finish, None]:
    """Prompted, the parts of the output as they come, and one Finish.

    Nothing is given before the model has written its first token, so that what is wrong with a prompt is raised before.
    The model stays leased until the generator is closed. When a runner is lost or short of memory, or far ahead of who
    reads this, it goes on as soon as it can; if it can't, what has been given stays, and Finish says why it ends.
    """
    if job.schema is not None:
        await job.services.schemas.check(job.schema)
    recovery = job.recovery()
    turn: _Turn | None = None
    while True:
        try:
            async with recovery.lease(job.keep_alive_s) as runner:
                turn = turn or await _begin(job, build_prompt, runner)
                with runner.generating(turn.generation.order()) as stream:
                    async for events in stream:
                        for part in turn.read(events):
                            yield part
                        if turn.generation.is_stopped or recovery.leaves(len(turn.generation.tokens)):
                            break
                if turn.generation.is_over:
                    for part in turn.end():
                        yield part
                    yield turn.finish(recovery.taken)
                    return
                continue
        except UnreadError:
            continue  # by now all was read
        except SwellError as error:
            failure = error
        rung = await recovery.after(failure, len(turn.generation.tokens) if turn else 0)
        if rung not in (RecoveryStep.GIVE_UP, RecoveryStep.WINDOW_END):
            continue
        if turn is None or not turn.has_begun:
            raise failure
        if rung is RecoveryStep.GIVE_UP or not turn.end_window(failure):
            for part in turn.end():
                yield part
            yield turn.finish(recovery.taken, failure if rung is RecoveryStep.GIVE_UP else None)
            return


async def _begin(job: TurnRequest, build_prompt: BuildPrompt, runner: Runner) -> "_Turn":
    load_ns = time.perf_counter_ns() - job.started_ns
    num_ctx, window_max = job.options.num_ctx, runner.facts.context_max
    if num_ctx is not None and num_ctx > window_max:
        log.warning("a window of %d tokens was asked for; the model has %d", num_ctx, window_max)
    window = window_tokens(num_ctx, runner.facts, job.services.settings)
    prompt = await build_prompt(runner, window)
    if not prompt.tokens:
        raise InvalidRequestError("the prompt is empty")
    generation = Generation(
        prompt.tokens,
        job.options,
        job.wish(runner.facts, window, prompt),
        window_tokens=window,
        parser=prompt.parser,
        repetition=Repetition() if job.services.settings.repeat_guard else None,
    )
    return _Turn(job, prompt, generation, load_ns)


class _Turn:
    """A prompt and what becomes of it, in as many runners as it takes."""

    def __init__(self, job: TurnRequest, prompt: Prompt, generation: Generation, load_ns: int) -> None:
        self.generation = generation
        self.has_begun = False
        """Whether anything was given to the client."""
        self._job = job
        self._prompt = prompt
        self._load_ns = load_ns

    def read(self, events: Sequence[Event]) -> Sequence[Prompted | Part]:
        """What can be given to the client of what a runner says."""
        parts = self.generation.feed(events)
        if self.has_begun or not (parts or any(isinstance(event, Emitted) and event.piece for event in events)):
            return parts
        return self._beginning(parts)

    def end(self) -> Sequence[Prompted | Part]:
        """What was held back until it was certain that nothing follows."""
        parts = self.generation.rest()
        return parts if self.has_begun else self._beginning(parts)

    def _beginning(self, parts: Sequence[Part]) -> Sequence[Prompted | Part]:
        self.has_begun = True
        prompt, cached = self._prompt, self.generation.cached_tokens
        return [Prompted(len(prompt.tokens), prompt.dropped_messages, prompt.dropped_tokens, cached), *parts]

    def end_window(self, error: SwellError) -> bool:
        """Make do with the window that there is memory for; False if nothing more fits it."""
        return isinstance(error, KvGrowError) and self.generation.end_window(possible_cells(error))

    def finish(self, taken: Sequence[RecoveryStep], error: SwellError | None = None) -> Finish:
        """The numbers, and by what the turn was saved, or what it failed with."""
        done = self.generation.done()
        return Finish(
            done_reason="error" if error else done.reason.value,
            total_duration=time.perf_counter_ns() - self._job.started_ns,
            load_duration=self._load_ns,
            prompt_eval_count=done.prompt_tokens,
            prompt_eval_duration=done.prompt_ns,
            eval_count=done.generated_tokens,
            eval_duration=done.generate_ns,
            error=f"{error} (after {done.generated_tokens} tokens)" if error else "",
            resumed=tuple(rung.value for rung in taken),
            tokens=self.generation.shown_tokens,
            cached_tokens=done.cached_tokens,
            stop=self.generation.stop,
        )


async def tokenize_rendered(runner: Runner, text: str, limit_tokens: int | None) -> list[int]:
    """The tokens of a rendered template. It may begin with the BOS text that the tokenizer adds itself: not twice.

    For `limit_tokens` see `Runner.tokenize`.
    """
    if runner.facts.add_bos and runner.facts.bos_text:
        text = text.removeprefix(runner.facts.bos_text)
    return await runner.tokenize(text, add_special=True, parse_special=True, limit_tokens=limit_tokens)
