"""Any events, for tests of those who are told of them."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from swell.metrics import events
from swell.metrics.events import ModelEvent, ServerEvent

KINDS = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, ServerEvent)]
NAMES = st.text(max_size=12) | st.sampled_from(["a", "b", "smollm2:135m"])


def any_event() -> st.SearchStrategy[ServerEvent]:
    """Of all kinds that are reported."""
    return st.sampled_from([kind for kind in KINDS if kind not in (ServerEvent, ModelEvent)]).flatmap(events_of)


def events_of(kind: type[ServerEvent]) -> st.SearchStrategy[ServerEvent]:
    fields = {field.name: _value(field.name, field.type) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)


def _value(name: str, kind: Any) -> st.SearchStrategy[Any]:
    if kind is int:
        return st.integers(0, 1 << 40)
    if kind is float:
        return st.floats(0, 1e6)
    if name in ("replica", "node"):
        return st.sampled_from(["", "one"])
    if kind is str:
        return st.just("") if name == "trace_parent" else NAMES
    return st.from_type(kind).filter(lambda value: not isinstance(value, float) or 0 <= value < 1e6)
