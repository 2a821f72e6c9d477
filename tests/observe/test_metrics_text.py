"""What Prometheus is given: whatever happens, it is text that Prometheus' own tool accepts, and adds up."""

import subprocess
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from tests.observe.events import any_event
from tests.observe.numbers import any_sample

from swell.metrics.events import RequestFinished, ServerEvent, ShrinkCause, TurnEnded, WindowGrown, WindowShrunk
from swell.metrics.observer import Metrics
from swell.metrics.request_record import RequestRecord
from swell.observe.numbers import Sample
from swell.observe.prometheus import Exporter
from swell.observe.tally import MODELS_MAX, Distribution, Tally


def scraped(metrics: Metrics, sample: Sample, happened: Sequence[ServerEvent]) -> str:
    exporter = Exporter(Tally(metrics), lambda: sample)
    for event in happened:
        metrics.report(event)
    return exporter.scrape().decode()


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The samples called `name`, by the values of their labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.slow  # starts a program that make test installs
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(any_event(), max_size=30), any_sample())
def test_prometheus_own_tool_accepts_it(happened: list[ServerEvent], sample: Sample) -> None:
    text = scraped(Metrics(), sample, happened)
    run = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


@given(st.lists(any_event(), max_size=30), any_sample())
def test_counters_count_what_happened(happened: list[ServerEvent], sample: Sample) -> None:
    text = scraped(Metrics(), sample, happened)
    growths = [event for event in happened if isinstance(event, WindowGrown)]
    places = [(one.node, one.replica) if one.replica else ("", "") for one in growths]  # labels come in their order
    labels = 3 if any(event.replica for event in growths) else 1
    grown = Counter((one.model, *place)[:labels] for one, place in zip(growths, places, strict=True))
    assert values(text, "swell_window_growths_total") == grown
    asked = Counter((event.endpoint, event.outcome.value) for event in happened if isinstance(event, RequestFinished))
    assert values(text, "swell_requests_total") == asked
    tokens = sum(event.generated_tokens for event in happened if isinstance(event, TurnEnded))
    assert sum(values(text, "swell_generated_tokens_total").values()) == tokens
    assert values(text, "swell_window_used_tokens") == {(one.model,): one.used_tokens for one in sample.models}
    assert values(text, "swell_queue_length") == {(): sample.queued}


def test_tokens_of_answers_in_progress_count_and_never_fall() -> None:
    metrics = Metrics()
    tally = Tally(metrics)
    turn, tokens = RequestRecord("a").begin_turn(metrics, "m"), [1, 2]
    turn.begin()
    turn.sent(tokens, type("Runs", (), {"growths": 0})())
    assert tally.tokens("generated") == {("m",): 2}
    tokens.append(3)
    assert tally.tokens("generated") == {("m",): 3}
    turn.end(3)
    assert tally.tokens("generated") == {("m",): 3}


def test_there_are_so_many_models_and_no_more() -> None:
    happened = [
        WindowGrown(model=f"/{number}", slot=0, from_tokens=0, to_tokens=1, granted_bytes=1) for number in range(150)
    ]
    counts = values(scraped(Metrics(), Sample(0), happened), "swell_window_growths_total")
    assert len(counts) == MODELS_MAX + 1
    assert counts[("other",)] == 50


def test_stalls_are_told_apart_by_store_and_by_what_changed() -> None:
    change: dict[str, Any] = {"model": "m", "slot": 0, "from_tokens": 0, "to_tokens": 1, "granted_bytes": 1}
    happened = [
        WindowGrown(store="placed", stall_s=0.25, **change),
        WindowGrown(store="placed", stall_s=0.5, **change),
        WindowGrown(store="reserved", stall_s=0.125, **change),
        WindowShrunk(store="placed", stall_s=1.0, cause=ShrinkCause.IDLE, **change),
    ]
    found = values(scraped(Metrics(), Sample(0), happened), "swell_window_stall_seconds_sum")
    assert found == {("growth", "placed"): 0.75, ("growth", "reserved"): 0.125, ("shrink", "placed"): 1.0}


@given(st.lists(st.floats(0, 1e4)))
def test_a_distribution_counts_each_value_up_to_each_bound(found: list[float]) -> None:
    distribution = Distribution((0.1, 1.0, 10.0))
    for value in found:
        distribution.add(value)
    expected = [sum(value <= bound for value in found) for bound in (0.1, 1.0, 10.0)]
    assert distribution.cumulated() == [*expected, len(found)]
    assert distribution.sum == pytest.approx(sum(found))


def test_two_servers_in_one_process_dont_mix() -> None:
    one, other = Metrics(), Metrics()
    exporters = [Exporter(Tally(metrics), lambda: Sample(0)) for metrics in (one, other)]
    one.report(WindowGrown(model="m", slot=0, from_tokens=0, to_tokens=1, granted_bytes=1))
    counts = [values(exporter.scrape().decode(), "swell_window_growths_total") for exporter in exporters]
    assert counts == [{("m",): 1}, {}]
