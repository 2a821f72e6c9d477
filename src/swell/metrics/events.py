"""What happens in a server, as values. Nothing in them is what people wrote: no prompts, no answers, no contents of
files.

`at_s` is the time of day in seconds since 1970, durations are in seconds, windows in tokens.
"""

import re
import time
from enum import Enum

import msgspec

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


class LoadOutcome(Enum):
    """How a load ended. Cancelled: nobody waited for it any more, or the server stopped."""

    LOADED = "loaded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class UnloadCause(Enum):
    """Why a loaded model's runner ended."""

    EXPIRED = "unused for its keep-alive time"
    ASKED = "asked for"
    REPLACED = "to be loaded otherwise, or from other files"
    EVICTED = "evicted for another model"
    LOST = "its process ended"
    STOPPED = "the server stops"


class ShrinkCause(Enum):
    """Why a slot's grant was lowered."""

    SETTLED = "its request has ended"
    IDLE = "nothing is computed"
    OTHER_SLOTS = "another slot needed memory"
    OTHER_MODELS = "another model needed memory"


class StepOutcome(Enum):
    """What became of a request after a recovery step: it went on, it failed again, or its client left."""

    RESUMED = "resumed"
    FAILED = "failed"
    ABANDONED = "abandoned"


class RequestOutcome(Enum):
    """How a request ended. A server's error is one that came after the first piece of an answer, too."""

    OK = "ok"
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    CLIENT_LEFT = "client_left"


class Phase(Enum):
    """What a request's time went to: waiting for a model or a slot, waiting for a load, its prompt being read, its
    answer being written, and trying to go on after a failure.
    """

    QUEUE = "queue"
    LOAD = "load"
    PROMPT = "prompt"
    GENERATE = "generate"
    RESUME = "resume"


class PhaseSpan(msgspec.Struct, frozen=True, omit_defaults=True):
    """A phase of a request, which began so long after it. `detail` says what was tried, where that is a question."""

    phase: Phase
    after_s: float
    duration_s: float
    detail: str = ""


class ServerEvent(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=lambda name: _WORD.sub("_", name).lower()
):
    """What all events have."""

    at_s: float = msgspec.field(default_factory=time.time)


class ModelEvent(ServerEvent, frozen=True, kw_only=True):
    """Something happens to a model that is loaded, wherever: `replica` and `node` say where in a fleet, "" is here."""

    model: str
    replica: str = ""
    node: str = ""


class LoadStarted(ModelEvent, frozen=True, kw_only=True):
    """A runner for `model` is being started."""


class LoadEnded(ModelEvent, frozen=True, kw_only=True):
    """A load has ended; `error` names the class of what it failed with."""

    outcome: LoadOutcome
    load_s: float
    error: str = ""


class ModelUnloaded(ModelEvent, frozen=True, kw_only=True):
    """A model that was loaded for `loaded_s` is being unloaded, or its process is gone."""

    cause: UnloadCause
    loaded_s: float


class WindowGrown(ModelEvent, frozen=True, kw_only=True):
    """A slot's grant was raised. `granted_bytes` is what the model's whole cache may use now; `store` holds that. No
    answer of the model got on for `stall_s`.
    """

    slot: int
    from_tokens: int
    to_tokens: int
    granted_bytes: int
    store: str = ""
    stall_s: float = 0.0


class WindowShrunk(ModelEvent, frozen=True, kw_only=True):
    """A slot's grant was lowered. The rest is as for WindowGrown."""

    slot: int
    from_tokens: int
    to_tokens: int
    granted_bytes: int
    store: str = ""
    stall_s: float = 0.0
    cause: ShrinkCause


class MemoryReclaimed(ModelEvent, frozen=True, kw_only=True):
    """Memory that `model` needed was taken from others; `source` was the last that gave some."""

    source: str


class RecoveryStarted(ServerEvent, frozen=True, kw_only=True):
    """A request that could not go on for `cause` takes `step`, so many tokens into its answer."""

    request: str
    model: str
    step: str
    cause: str
    generated_tokens: int


class RecoveryEnded(ServerEvent, frozen=True, kw_only=True):
    """What a recovery step led to, and how long after the failure that was."""

    request: str
    model: str
    step: str
    outcome: StepOutcome
    recovery_s: float


class RequestQueued(ServerEvent, frozen=True, kw_only=True):
    """A request asks for a model."""

    request: str
    endpoint: str
    model: str


class RequestStarted(ServerEvent, frozen=True, kw_only=True):
    """A request has its model, after waiting for others and for a load."""

    request: str
    model: str
    queue_s: float
    load_s: float


class FirstToken(ServerEvent, frozen=True, kw_only=True):
    """The prompt was read, of which `cached_tokens` needn't be; the answer begins."""

    request: str
    model: str
    prompt_tokens: int
    cached_tokens: int
    first_token_s: float


class TurnEnded(ServerEvent, frozen=True, kw_only=True):
    """A turn of a request has ended, well or not, with these tokens.

    `size_tokens` is how many of them the model held at a time; 0 unless the turn came to its end. `model_key` tells the
    model's weights and adapters from all others.
    """

    request: str
    model: str
    model_key: str = ""
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    size_tokens: int = 0


class RequestFinished(ServerEvent, frozen=True, kw_only=True):
    """A request has ended, with all its numbers.

    `model` is "" for one that asked for none. Of several answers side by side, tokens are added up and times are the
    longest. `token_interval_s` is the mean time between tokens and `worst_interval_s` the longest; both are None for
    less than two tokens. `recovery_steps` are those taken. `error` names the class of what it failed with.
    `trace_parent` is what the client said of its own trace.
    """

    request: str
    method: str
    endpoint: str
    status: int
    outcome: RequestOutcome
    model: str = ""
    total_s: float
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    queue_s: float = 0.0
    load_s: float = 0.0
    prompt_s: float = 0.0
    generate_s: float = 0.0
    first_token_s: float | None = None
    token_interval_s: float | None = None
    worst_interval_s: float | None = None
    growths: int = 0
    recovery_steps: tuple[str, ...] = ()
    error: str = ""
    phases: tuple[PhaseSpan, ...] = ()
    trace_parent: str = ""
