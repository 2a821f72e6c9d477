"""Readings of servers for tests of live views."""

from typing import Any

from hypothesis import strategies as st

from swell.cli.live.readings import FirstReading, Happening, ModelReading, ServerReading, SlotReading
from swell.cli.live.watching import Watching

AT_S = 1_700_000_000.0


def model(name: str = "smol:135m", **fields: Any) -> ModelReading:
    """A model of which all is known."""
    known: dict[str, Any] = {
        "used_tokens": 812,
        "granted_tokens": 1024,
        "ceiling_tokens": 8192,
        "resident_bytes": 345 * 10**6,
        "weights_bytes": 97 * 10**6,
        "kv_bytes": 18 * 10**6,
        "kv_granted_bytes": 23 * 10**6,
        "other_bytes": 48 * 10**6,
        "slots": 2,
        "slots_busy": 1,
        "threads": 1,
        "threads_allowed": 2,
        "prompt_tokens": 900,
        "cached_tokens": 100,
        "generated_tokens": 12,
        "growths": 1,
        "shrinks": 0,
        "generated_per_s": 17.3,
        "slots_detail": (SlotReading("generate", 812, 1024), SlotReading()),
    }
    return ModelReading(model=name, **{**known, **fields})


def reading(*models: ModelReading, at_s: float = AT_S) -> ServerReading:
    return ServerReading(at_s=at_s, active=1, queued=0, models=models)


def grown(name: str = "smol:135m", at_s: float = AT_S) -> Happening:
    return Happening(at_s=at_s, event="window_grown", model=name, slot=0, from_tokens=512, to_tokens=1024)


def watching(*models: ModelReading, prefix: str = "") -> Watching:
    return Watching(prefix).told(FirstReading(reading(*models)))


_tokens = st.integers(0, 2**31)
_bytes = st.integers(0, 10**15)
_slots = st.builds(SlotReading, st.sampled_from(("idle", "prefill", "generate", "wait", "later")), _tokens, _tokens)
models = st.builds(
    ModelReading,
    model=st.text(max_size=60),
    used_tokens=st.none() | _tokens,
    granted_tokens=st.none() | _tokens,
    ceiling_tokens=_tokens,
    resident_bytes=_bytes,
    weights_bytes=st.none() | _bytes,
    kv_bytes=st.none() | _bytes,
    kv_granted_bytes=st.none() | _bytes,
    other_bytes=st.none() | _bytes,
    device_bytes=_bytes,
    slots_busy=st.none() | st.integers(0, 3),
    threads=st.none() | st.integers(0, 1000),
    threads_allowed=st.none() | st.integers(0, 1000),
    growths=st.none() | st.integers(0, 10**6),
    generated_per_s=st.none() | st.floats(0, 10**6),
    slots_detail=st.lists(_slots, max_size=8).map(tuple),
)
EVENTS = (
    *("load_started", "load_ended", "model_unloaded", "window_grown", "window_shrunk", "memory_reclaimed"),
    *("recovery_started", "recovery_ended", "request_finished", "unheard_of"),
)
happenings = st.builds(
    Happening,
    at_s=st.floats(0, 2**32),
    event=st.sampled_from(EVENTS),
    model=st.text(max_size=60),
    cause=st.text(max_size=60),
    to_tokens=_tokens,
    granted_bytes=_bytes,
)
