"""One turn from its prompt to its end: load, generate, read the output, go on after failures, measure."""

import logging
import time
from collections.abc import AsyncGenerator, Sequence

from swell.errors import InvalidRequestError, KvGrowError, SwellError, UnreadError
from swell.metrics.events import StepOutcome
from swell.metrics.turn_record import TurnRecord
from swell.protocol.messages import Emitted, Loaded
from swell.supervisor.leased import LeasedRunner
from swell.supervisor.stream import Event
from swell.text.parsing.parts import Part
from swell.turns.events import Finish, PromptRead, TurnEvent
from swell.turns.generation import Generation, GenerationParams, window_tokens
from swell.turns.prompt import Prompt, PromptBuilder
from swell.turns.recovery.ladder import RecoveryStep, possible_cells
from swell.turns.recovery.recovery import retried
from swell.turns.repetition import Repetition
from swell.turns.request import TurnRequest
from swell.turns.services import Services

log = logging.getLogger(__name__)


async def load(services: Services, request: TurnRequest) -> None:
    """Returns when the model is loaded. Raises ServerBusyError, or the RunnerError that the load ended with."""

    async def use(_runner: LeasedRunner) -> None:
        """Nothing: the model is loaded by then."""

    await retried(services.recovery(request), use)


async def complete(services: Services, request: TurnRequest, builder: PromptBuilder) -> AsyncGenerator[TurnEvent, None]:
    """Prompted, the parts of the output as they come, and one Finish.

    Nothing is given before the model has written its first token, so that what is wrong with a prompt is raised before.
    The model stays leased until the generator is closed. When a runner is lost or short of memory, or far ahead of who
    reads this, it goes on as soon as it can; if it can't, what has been given stays, and Finish says why it ends.
    """
    if request.schema is not None:
        await services.schemas.check(request.schema)
    recovery = services.recovery(request)
    turn: _Turn | None = None
    try:
        while True:
            try:
                async with recovery.lease() as runner:
                    turn = turn or await _begin(services, request, builder, runner, recovery.record)
                    with runner.generating(turn.generation.order()) as stream:
                        recovery.record.sent(turn.generation.tokens, stream)
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
                failure = error.with_traceback(None)  # which holds this frame, and so the whole request
            step = await recovery.after(failure, len(turn.generation.tokens) if turn else 0)
            if step not in (RecoveryStep.GIVE_UP, RecoveryStep.WINDOW_END):
                continue
            if turn is None or not turn.has_begun:
                recovery.record.recovered(StepOutcome.FAILED)
                try:
                    raise failure
                finally:
                    del failure
            if step is RecoveryStep.GIVE_UP or not turn.end_window(failure):
                for part in turn.end():
                    yield part
                yield turn.finish(recovery.taken, failure if step is RecoveryStep.GIVE_UP else None)
                return
    finally:
        recovery.end(turn.generation.outcome().generated_tokens if turn else 0)


async def _begin(
    services: Services, request: TurnRequest, builder: PromptBuilder, runner: LeasedRunner, record: TurnRecord
) -> "_Turn":
    load_ns = time.perf_counter_ns() - request.started_ns
    num_ctx, window_max = request.options.num_ctx, runner.facts.context_max
    if num_ctx is not None and num_ctx > window_max:
        log.warning("a window of %d tokens was asked for; the model has %d", num_ctx, window_max)
    window = window_tokens(num_ctx, runner.facts, services.settings)
    prompt = await builder.build(runner, window)
    if not prompt.tokens:
        raise InvalidRequestError("the prompt is empty")
    generation = Generation(
        prompt.tokens,
        request.options,
        _params(request, runner.facts, window, prompt),
        window_tokens=window,
        parser=prompt.parser,
        repetition=Repetition() if services.settings.repeat_guard else None,
    )
    return _Turn(request, prompt, generation, load_ns, record)


def _params(request: TurnRequest, facts: Loaded, window_tokens: int, prompt: Prompt) -> GenerationParams:
    keep = request.keep_tokens(facts)
    return GenerationParams(
        keep_tokens=(window_tokens if keep < 0 else keep) if request.shifts else None,
        schema=request.schema,
        preamble=prompt.preamble,
        top_logprobs=request.top_logprobs,
        visible=prompt.visible,
        dropped_tokens=prompt.dropped_tokens,
    )


class _Turn:
    """A prompt and its generation, through as many runners as it takes."""

    def __init__(
        self, request: TurnRequest, prompt: Prompt, generation: Generation, load_ns: int, record: TurnRecord
    ) -> None:
        self.generation = generation
        self.has_begun = False
        """Whether anything was given to the client."""
        self._request = request
        self._prompt = prompt
        self._load_ns = load_ns
        self._record = record
        self._read_ns = 0

    def read(self, events: Sequence[Event]) -> Sequence[PromptRead | Part]:
        """The parts that can be given out after these `events` of a runner; before the first ones, PromptRead."""
        if self._record.is_recovering:
            self._record.recovered(StepOutcome.RESUMED)
        now_ns = time.perf_counter_ns()
        if self._read_ns and now_ns - self._read_ns > self._record.worst_interval_ns:
            self._record.worst_interval_ns = now_ns - self._read_ns
        self._read_ns = now_ns
        parts = self.generation.feed(events)
        if self.has_begun or not (parts or any(isinstance(event, Emitted) and event.piece for event in events)):
            return parts
        return self._beginning(parts)

    def end(self) -> Sequence[PromptRead | Part]:
        """The parts that were held back, now that nothing follows them."""
        parts = self.generation.rest()
        return parts if self.has_begun else self._beginning(parts)

    def _beginning(self, parts: Sequence[Part]) -> Sequence[PromptRead | Part]:
        self.has_begun = True
        prompt, outcome = self._prompt, self.generation.outcome()
        self._record.prompt_read(outcome.prompt_tokens, outcome.cached_tokens, outcome.prompt_ns)
        dropped = prompt.dropped_messages, prompt.dropped_tokens
        return [PromptRead(len(prompt.tokens), *dropped, outcome.cached_tokens), *parts]

    def end_window(self, error: SwellError) -> bool:
        """Shorten the window to what there was memory for. False if the generation ends by that."""
        return isinstance(error, KvGrowError) and self.generation.end_window(possible_cells(error))

    def finish(self, taken: Sequence[RecoveryStep], error: SwellError | None = None) -> Finish:
        """How the turn ended: its numbers, the recovery steps `taken`, and the `error` if it failed."""
        outcome = self.generation.outcome()
        self._record.finished(error, self.generation.size_tokens)
        return Finish(
            done_reason="error" if error else outcome.reason.value,
            total_duration=time.perf_counter_ns() - self._request.started_ns,
            load_duration=self._load_ns,
            prompt_eval_count=outcome.prompt_tokens,
            prompt_eval_duration=outcome.prompt_ns,
            eval_count=outcome.generated_tokens,
            eval_duration=outcome.generate_ns,
            error=f"{error} (after {outcome.generated_tokens} tokens)" if error else "",
            resumed=tuple(step.value for step in taken),
            tokens=self.generation.shown_tokens,
            cached_tokens=outcome.cached_tokens,
            stop=self.generation.stop,
        )
