"""The dashboard's pure modules, called in the browser that they are written for."""

import re
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.e2e.browser import chromium, opened
from tests.e2e.server import Server
from tests.observe.events import any_event
from tests.observe.numbers import any_sample

from swell.api.web.files import site
from swell.metrics.events import ServerEvent
from swell.observe.numbers import Moment, Sample

Call = Callable[..., Any]
EVENTS_MAX, MOMENTS_MAX, SPAN_S = 200, 800, 600
quickly = hypothesis.settings(max_examples=25)

TAKE = """
(messages) => {
  const state = emptyState();
  for (const [name, data] of messages) take(state, name, data, data.at_s ?? data.now.at_s);
  const moments = state.moments.map((one) => ({ ...one, models: Object.fromEntries(one.models) }));
  return { ...state, moments, names: modelNames(state), busiest: busiest(state) };
}
"""


@pytest.fixture(scope="module")
def call(server: Server) -> Iterator[Call]:
    """Calls a JavaScript function that sees everything a module of the page exports."""
    with chromium() as browser, opened(browser, server.url) as page:

        def run(module: str, function: str, *arguments: Any) -> Any:
            names = page.evaluate("async (url) => Object.keys(await import(url))", _address(module))
            script = f"""async ([url, args]) => {{
                const {{ {", ".join(names)} }} = await import(url);
                return ({function})(...args);
            }}"""
            return page.evaluate(script, [_address(module), msgspec.to_builtins(arguments)])

        yield run


def _address(module: str) -> str:
    return f"/web/{site().version}/{module}.js"


@quickly
@given(told=st.lists(any_event(), max_size=20))
def test_every_event_is_told_in_words_or_only_counted(call: Call, told: list[ServerEvent]) -> None:
    found = call("events", "(events) => events.map(describe)", told)
    for event, words in zip(told, found, strict=True):
        if words is not None:
            assert words["mark"] in ("growth", "shrink", "resume", "eviction", "load")
            assert str(msgspec.to_builtins(event)["model"]) in words["text"]
            told_of = " ".join(field for field in msgspec.to_builtins(event).values() if isinstance(field, str))
            holes = re.findall("undefined|NaN|null", words["text"] + words["detail"])
            assert all(hole in told_of for hole in holes)


@quickly
@given(sample=any_sample())
def test_the_past_is_read_as_the_present_is(call: Call, sample: Sample) -> None:
    nothing = Sample(sample.at_s - 1)
    past = {"now": nothing, "history": [Moment.of(sample)], "events": []}
    from_history, from_numbers = call(
        "state", f"(a, b) => [a, b].map({TAKE})", [("snapshot", past)], [("numbers", sample)]
    )
    assert from_history["moments"] == from_numbers["moments"]
    assert from_history["names"] == from_numbers["names"] == [model.model for model in sample.models]
    assert (from_numbers["busiest"] is None) == (not sample.models)


@quickly
@given(pauses_s=st.lists(st.floats(0.05, 400), min_size=1, max_size=30), times=st.integers(1, 60))
def test_what_is_kept_is_bounded(call: Call, pauses_s: list[float], times: int) -> None:
    at_s = list(accumulate(pauses_s * times))
    messages = [("numbers", Sample(one, active=number)) for number, one in enumerate(at_s)]
    state = call("state", TAKE, messages)
    moments = state["moments"]
    assert len(moments) <= MOMENTS_MAX
    assert (moments[-1]["at_s"], moments[-1]["active"]) == (at_s[-1], len(at_s) - 1)  # the latest is there
    assert [one["at_s"] for one in moments] == sorted({one["at_s"] for one in moments})
    assert all(one["at_s"] >= at_s[-1] - SPAN_S for one in moments[1:])
    if len(moments) < MOMENTS_MAX:  # and so is all that isn't too old
        kept = {int(one["at_s"]) for one in moments}
        assert all(any(abs(int(one) - second) <= 2 for second in kept) for one in at_s if one >= at_s[-1] - SPAN_S)


@quickly
@given(sample=any_sample())
def test_sizes_and_first_grants_are_told_in_words(call: Call, sample: Sample) -> None:
    for model in sample.models:
        words = call("sizes", "(model) => [firstGrant(model), model.sizes && inWords(model.sizes)]", model)
        assert not re.search("undefined|NaN|null", " ".join(filter(None, words)))
        assert ("next time" in words[0]) == (
            model.initial_tokens > 0 and model.learned_tokens not in (None, model.initial_tokens)
        )
        if model.sizes is not None:
            assert words[1].endswith(f"the largest {model.sizes.largest_tokens:,}")


def test_events_are_bounded(call: Call) -> None:
    event = {"event": "memory_reclaimed", "model": "a", "source": "b"}
    state = call("state", TAKE, [("event", {**event, "at_s": number}) for number in range(3 * EVENTS_MAX)])
    assert [one["at_s"] for one in state["events"]] == list(range(2 * EVENTS_MAX, 3 * EVENTS_MAX))


def test_another_server_begins_after_a_gap_and_the_same_one_repeats_nothing(call: Call) -> None:
    history = [Moment(5.0, 0, 1, ()), Moment(10.0, 0, 2, ())]
    first = {"now": Sample(10.0), "history": history, "events": []}
    again = {**first, "now": Sample(12.0), "history": [*history, Moment(12.0, 0, 3, ())]}
    second = {"now": Sample(20.0), "history": [Moment(20.0, 0, 4, ())], "events": []}
    state = call("state", TAKE, [("snapshot", first), ("snapshot", again), ("snapshot", second)])
    found = [(one["at_s"], one["active"]) for one in state["moments"]]
    assert found == [(5, 1), (10, 2), (12, 3), (12.001, 0), (20, 4)]


@quickly
@given(most=st.floats(0.5, 1e15), is_binary=st.booleans())
def test_a_grid_has_few_round_lines(call: Call, most: float, is_binary: bool) -> None:
    values = call("scale", "ticks", most, 4, is_binary)
    assert values[0] == 0
    assert values[-1] <= most
    assert 1 <= len(values) <= 6
    if is_binary and len(values) > 1:
        assert int(values[1]).bit_count() == 1


@quickly
@given(
    points=st.lists(
        st.tuples(st.integers(0, 100), st.none() | st.integers(0, 9)), unique_by=lambda one: one[0], min_size=1
    ),
    from_s=st.integers(0, 50),
)
def test_a_line_holds_each_value_until_the_next_and_has_gaps(
    call: Call, points: list[tuple[int, int | None]], from_s: int
) -> None:
    points.sort()
    known = [{"at_s": at_s} if value is None else {"at_s": at_s, "v": value} for at_s, value in points]
    pieces = call("scale", "(points, from_s) => pieces(points, 'v', from_s, 100)", known, from_s)
    drawn = {
        (begin_s, value, end_s)
        for piece in pieces
        for (begin_s, value), (end_s, _) in zip(piece[::2], piece[1::2], strict=True)
    }
    ends_s = [at_s for at_s, _ in points[1:]] + [100]
    assert drawn == {
        (max(at_s, from_s), value, end_s)
        for (at_s, value), end_s in zip(points, ends_s, strict=True)
        if value is not None and end_s > from_s
    }


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        *(("tokens", 8192, "8,192"), ("rate", 0, "0"), ("rate", 16.44, "16.4"), ("rate", 9.996, "10.0")),
        *(("bytes", 0, "0 B"), ("bytes", 999, "999 B"), ("bytes", 999_999, "1.00 MB")),
        *(("bytes", 293_400_000, "293 MB"), ("bytes", 1.5e15, "1,500 TB")),
        *(("seconds", None, "–"), ("seconds", 0, "0 ms"), ("seconds", 0.9999, "1.00 s")),
        *(("seconds", 17.4, "17.4 s"), ("seconds", 300, "5 min")),
    ],
)  # fmt: skip
def test_numbers_are_written_for_people(call: Call, function: str, value: float | None, text: str) -> None:
    assert call("format", function, value) == text
