"""What is noted of one HTTP request while it lasts. Found by the context in which it is answered."""

import re
import secrets
import time
from contextvars import ContextVar

from swell.metrics.events import Phase, RequestFinished, RequestOutcome
from swell.metrics.observer import Metrics
from swell.metrics.turn_record import TurnRecord

_TRACE_PARENT = re.compile(r"[0-9a-f-]{55}")
_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_ERRORS_FROM = 400


def request_id(wanted: str | None) -> str:
    """What a client `wanted` to call its request, if it is of at most 128 harmless characters; else a new name."""
    if wanted is not None and _ID.fullmatch(wanted):
        return wanted
    return f"req_{secrets.token_hex(12)}"


class RequestRecord:
    """One request's name, route and end, and the turns that it asked for."""

    def __init__(self, id: str, method: str = "", trace_parent: str = "") -> None:
        self.id = id
        self.endpoint = "other"
        """The path of its route, which is one of few."""
        self.status = 0
        """What the answer began with; 0 while there is none."""
        self.turns: list[TurnRecord] = []
        self.started_ns = time.perf_counter_ns()
        self._method = method
        self._trace_parent = trace_parent if _TRACE_PARENT.fullmatch(trace_parent) else ""
        self._outcome: RequestOutcome | None = None
        self._error = ""

    def begin_turn(self, metrics: Metrics, model: str, model_key: str = "") -> TurnRecord:
        """One more turn that it asks for, of the model that is known by `model_key` whatever it is called."""
        turn = TurnRecord(metrics, model, self, model_key)
        self.turns.append(turn)
        return turn

    def fail(self, error: BaseException) -> None:
        """It is answered with `error`; the first one counts."""
        self._error = self._error or type(error).__name__

    def interrupt(self, error: str) -> None:
        """Its answer had begun and ends with what `error` names."""
        self._outcome = RequestOutcome.SERVER_ERROR
        self._error = self._error or error

    def leave(self) -> None:
        """Its client has left."""
        self._outcome = RequestOutcome.CLIENT_LEFT

    def finished(self) -> RequestFinished:
        """Its numbers, now that it has ended."""
        turns = self.turns
        firsts = [turn.first_token_s for turn in turns if turn.first_token_s is not None]
        intervals = sum(turn.intervals for turn in turns)
        generated_s = sum(turn.seconds(Phase.GENERATE) for turn in turns)
        longest = {phase: max((turn.seconds(phase) for turn in turns), default=0.0) for phase in Phase}
        return RequestFinished(
            request=self.id,
            method=self._method,
            endpoint=self.endpoint,
            status=self.status,
            outcome=self._outcome or self._outcome_of_status(),
            model=turns[0].model if turns else "",
            total_s=(time.perf_counter_ns() - self.started_ns) / 1e9,
            prompt_tokens=sum(turn.prompt_tokens for turn in turns),
            cached_tokens=sum(turn.cached_tokens for turn in turns),
            generated_tokens=sum(turn.generated_tokens for turn in turns),
            queue_s=longest[Phase.QUEUE],
            load_s=longest[Phase.LOAD],
            prompt_s=longest[Phase.PROMPT],
            generate_s=longest[Phase.GENERATE],
            first_token_s=min(firsts, default=None),
            token_interval_s=generated_s / intervals if intervals else None,
            worst_interval_s=max(turn.worst_interval_ns for turn in turns) / 1e9 if intervals else None,
            growths=sum(turn.growths for turn in turns),
            recovery_steps=tuple(step for turn in turns for step in turn.steps),
            error=self._error,
            phases=tuple(span for turn in turns for span in turn.phases),
            trace_parent=self._trace_parent,
        )

    def _outcome_of_status(self) -> RequestOutcome:
        if self.status < _ERRORS_FROM:
            return RequestOutcome.OK if self.status else RequestOutcome.CLIENT_LEFT
        return RequestOutcome.CLIENT_ERROR if self.status < 500 else RequestOutcome.SERVER_ERROR


_current = ContextVar[RequestRecord | None]("swell request", default=None)


def current_request() -> RequestRecord:
    """The request that is being answered here; outside of any, one that nobody asks about."""
    return _current.get() or RequestRecord("")


def begin_request(record: RequestRecord) -> None:
    """From now on `record` is the current request of this task, and of those that it starts."""
    _current.set(record)
