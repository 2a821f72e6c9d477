"""What a live view is told of a server, in the form in which GET /api/events sends it.

What a server doesn't say is None: Ollama counts no tokens.
"""

import msgspec


class SlotReading(msgspec.Struct, frozen=True):
    """One slot: what it does, the tokens that it stores, and those that it is granted memory for."""

    state: str = "idle"
    used_tokens: int = 0
    granted_tokens: int = 0


class ModelReading(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded model. Windows are those of its largest slot; tokens and growths are counted since it was loaded.

    `initial_tokens` are what each slot was granted then, `learned_tokens` what it will be the next time, if that was
    learned. `resident_bytes` is host memory, made of weights, cache and the rest; `device_bytes` come on top of it.
    `digest` and `expires_at` are known only where it was asked for them.
    """

    model: str
    digest: str = ""
    expires_at: str = ""
    used_tokens: int | None = None
    granted_tokens: int | None = None
    ceiling_tokens: int = 0
    initial_tokens: int | None = None
    learned_tokens: int | None = None
    resident_bytes: int = 0
    weights_bytes: int | None = None
    kv_bytes: int | None = None
    kv_granted_bytes: int | None = None
    other_bytes: int | None = None
    device_bytes: int = 0
    slots: int | None = None
    slots_busy: int | None = None
    threads: int | None = None
    threads_allowed: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    generated_tokens: int | None = None
    growths: int | None = None
    shrinks: int | None = None
    read_per_s: float | None = None
    generated_per_s: float | None = None
    slots_detail: tuple[SlotReading, ...] = ()


class ServerReading(msgspec.Struct, frozen=True, kw_only=True):
    """All loaded models at `at_s`, seconds since 1970; how many requests wait for one, and how many are answered."""

    at_s: float
    queued: int | None = None
    active: int | None = None
    models: tuple[ModelReading, ...] = ()


class Happening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened at `at_s`. The fields that an event has depend on what `event` names."""

    at_s: float
    event: str
    model: str = ""
    slot: int = 0
    from_tokens: int = 0
    to_tokens: int = 0
    granted_bytes: int = 0
    stall_s: float = 0.0
    cause: str = ""
    outcome: str = ""
    error: str = ""
    step: str = ""
    source: str = ""
    load_s: float = 0.0
    recovery_s: float = 0.0


class PastModel(msgspec.Struct, frozen=True, array_like=True):
    """A model's largest slot at some moment; what else is known of that isn't shown."""

    model: str
    used_tokens: int
    granted_tokens: int


class PastReading(msgspec.Struct, frozen=True):
    """The models that were loaded at `at_s`, seconds since 1970."""

    at_s: float
    models: tuple[PastModel, ...] = ()


class FirstReading(msgspec.Struct, frozen=True):
    """What a view is told first: the numbers now, how they came about, and what has happened before."""

    now: ServerReading
    history: tuple[PastReading, ...] = ()
    events: tuple[Happening, ...] = ()


class Gone(msgspec.Struct, frozen=True):
    """The server doesn't answer any more; it is asked again and again."""

    reason: str


FeedMessage = FirstReading | ServerReading | Happening | Gone
"""What comes from a server, and what is said in its place."""
