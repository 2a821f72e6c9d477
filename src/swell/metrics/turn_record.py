"""What is noted of one turn: what its time went to, and how many tokens it has read and written."""

import time
from collections.abc import Sequence, Sized
from enum import Enum
from typing import Protocol

from swell.metrics.events import (
    FirstToken,
    Phase,
    PhaseSpan,
    RecoveryEnded,
    RecoveryStarted,
    RequestQueued,
    RequestStarted,
    StepOutcome,
    TurnEnded,
)
from swell.metrics.observer import Metrics

_NOTHING: Sequence[int] = ()


class Growing(Protocol):
    """What one runner does for a turn: how often it has raised a slot's grant for it."""

    growths: int


class TurnOwner(Protocol):
    """The request that a turn is for."""

    id: str
    endpoint: str
    started_ns: int

    def interrupt(self, error: str) -> None: ...


class TurnRecord:
    """Reports what happens to the observer. Times are those of `time.perf_counter_ns`."""

    def __init__(self, metrics: Metrics, model: str, request: TurnOwner, model_key: str = "") -> None:
        self.model = model
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.first_token_s: float | None = None
        """Since the request came."""
        self.worst_interval_ns = 0
        """The longest time between tokens, or those that came together."""
        self.steps: list[str] = []
        """The recovery steps taken."""
        self.phases: list[PhaseSpan] = []
        self.is_recovering = False
        """Whether it isn't known yet what the latest recovery step led to."""
        self._metrics = metrics
        self._model_key = model_key
        self._request = request
        self._id = request.id
        self._report = metrics.report
        self._tokens: Sized = _NOTHING
        self._growing: list[Growing] = []
        self._growths = 0
        self._generated_tokens = self._size_tokens = 0
        self._is_started = False
        self._sent_ns = self._generate_ns = self._failed_ns = 0

    @property
    def generated_tokens(self) -> int:
        """So far, or in all."""
        return self._generated_tokens or len(self._tokens)

    @property
    def growths(self) -> int:
        """How often a slot's grant was raised for it."""
        return self._growths + sum(growing.growths for growing in self._growing)

    @property
    def intervals(self) -> int:
        """How many times there were between its tokens."""
        return max(self.generated_tokens - 1, 0)

    def seconds(self, phase: Phase) -> float:
        """How long all phases of one kind took together."""
        return sum(span.duration_s for span in self.phases if span.phase is phase)

    # --- the way to a runner -------------------------------------------------------------------------------------

    def begin(self) -> None:
        """It asks for its model, for the first time or again."""
        if self in self._metrics.turns:
            return
        self._metrics.turns.add(self)
        self._report(RequestQueued(request=self._id, endpoint=self._request.endpoint, model=self.model))

    def leased(self, asked_ns: int, loading_ns: tuple[int, int]) -> None:
        """It was asked for a runner at `asked_ns` and has it now; when that was being loaded is `loading_ns`."""
        now_ns = time.perf_counter_ns()
        load_ns = max(asked_ns, loading_ns[0])
        ready_ns = min(now_ns, loading_ns[1])
        if load_ns < ready_ns:
            self._span(Phase.QUEUE, asked_ns, load_ns)
            self._span(Phase.LOAD, load_ns, ready_ns)
        else:
            self._span(Phase.QUEUE, asked_ns, now_ns)
        if not self._is_started:
            self._is_started = True
            queue_s, load_s = self.seconds(Phase.QUEUE), self.seconds(Phase.LOAD)
            self._report(RequestStarted(request=self._id, model=self.model, queue_s=queue_s, load_s=load_s))

    # --- its tokens ----------------------------------------------------------------------------------------------

    def sent(self, tokens: Sized, growing: Growing) -> None:
        """Its prompt is on the way to a runner, of which `growing` hears. `tokens` are those that came so far, and
        those to come.
        """
        self._sent_ns = time.perf_counter_ns()
        self._tokens = tokens
        self._growing.append(growing)

    def prompt_read(self, prompt_tokens: int, cached_tokens: int, prompt_ns: int) -> None:
        """Its prompt was read in `prompt_ns`, and what a client is given begins."""
        now_ns = time.perf_counter_ns()
        self.prompt_tokens, self.cached_tokens = prompt_tokens, cached_tokens
        read_ns = max(now_ns - prompt_ns, self._sent_ns)
        if self._sent_ns:  # there was time between, in the line for a slot
            self._span(Phase.QUEUE, self._sent_ns, read_ns)
        self._span(Phase.PROMPT, read_ns, now_ns)
        self._generate_ns = now_ns
        self.first_token_s = (now_ns - self._request.started_ns) / 1e9
        self._report(
            FirstToken(
                request=self._id,
                model=self.model,
                prompt_tokens=prompt_tokens,
                cached_tokens=cached_tokens,
                first_token_s=self.first_token_s,
            )
        )

    def finished(self, error: Exception | None, size_tokens: int = 0) -> None:
        """Its answer has come to its end, for which the model held so many tokens, or to that with which `error` leaves
        it.
        """
        self.recovered(StepOutcome.FAILED if error else StepOutcome.RESUMED)
        if error is None:
            self._size_tokens = size_tokens
        else:
            self._request.interrupt(type(error).__name__)

    def computed(self, tokens: int) -> None:
        """So many tokens of texts became vectors."""
        self.prompt_tokens = tokens

    def end(self, generated_tokens: int = 0) -> None:
        """Nothing of it is left: it has finished with so many tokens, has failed, or its client has left."""
        self.recovered(StepOutcome.ABANDONED)
        if self._generate_ns:
            self._span(Phase.GENERATE, self._generate_ns, time.perf_counter_ns())
        self._generated_tokens = generated_tokens
        self._growths, self._growing = self.growths, []
        self._tokens = _NOTHING  # others may know this record for longer than these
        self._metrics.turns.discard(self)
        self._report(
            TurnEnded(
                request=self._id,
                model=self.model,
                model_key=self._model_key,
                prompt_tokens=self.prompt_tokens,
                cached_tokens=self.cached_tokens,
                generated_tokens=generated_tokens,
                size_tokens=self._size_tokens,
            )
        )

    # --- recovery ------------------------------------------------------------------------------------------------

    def recovers(self, step: Enum, cause: Enum) -> None:
        """It could not go on for `cause`, and `step` is taken."""
        now_ns = time.perf_counter_ns()
        if self._generate_ns and not self.is_recovering:
            self._span(Phase.GENERATE, self._generate_ns, now_ns)
        self.recovered(StepOutcome.FAILED)
        self._failed_ns = now_ns
        self.steps.append(step.value)
        self.is_recovering = True
        self._report(
            RecoveryStarted(
                request=self._id,
                model=self.model,
                step=step.value,
                cause=cause.value,
                generated_tokens=self.generated_tokens,
            )
        )

    def recovered(self, outcome: StepOutcome) -> None:
        """Where a recovery step is under way, it led to `outcome`."""
        if not self.is_recovering:
            return
        now_ns = time.perf_counter_ns()
        self.is_recovering = False
        self._span(Phase.RESUME, self._failed_ns, now_ns, self.steps[-1])
        if self._generate_ns:
            self._generate_ns = now_ns
        self._report(
            RecoveryEnded(
                request=self._id,
                model=self.model,
                step=self.steps[-1],
                outcome=outcome,
                recovery_s=(now_ns - self._failed_ns) / 1e9,
            )
        )

    def _span(self, phase: Phase, start_ns: int, end_ns: int, detail: str = "") -> None:
        after_s = (start_ns - self._request.started_ns) / 1e9
        self.phases.append(PhaseSpan(phase, after_s, max(end_ns - start_ns, 0) / 1e9, detail))
