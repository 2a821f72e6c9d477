"""Rates, and what a timeline keeps."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.observe.numbers import any_model, any_sample

from swell.observe.numbers import ModelNumbers, Moment, Sample, rated


@given(any_model(), st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.1, 100))
def test_rates_are_what_was_computed_over_the_time(
    before: ModelNumbers, read: int, generated: int, elapsed_s: float
) -> None:
    now = msgspec.structs.replace(
        before,
        computed_tokens=before.computed_tokens + read + generated,
        generated_tokens=before.generated_tokens + generated,
    )
    found = rated(now, before, elapsed_s)
    assert found.generated_per_s == pytest.approx(generated / elapsed_s, abs=0.06)
    assert found.read_per_s == pytest.approx(read / elapsed_s, abs=0.06)


@given(any_model(), any_model(), st.floats(-5, 100))
def test_a_runner_that_is_another_one_has_no_negative_rates(
    now: ModelNumbers, before: ModelNumbers, elapsed_s: float
) -> None:
    found = rated(now, before, elapsed_s)
    assert found.generated_per_s >= 0
    assert found.read_per_s >= 0
    assert rated(now, None, elapsed_s) == now


@given(any_sample())
def test_a_timeline_keeps_what_it_names(sample: Sample) -> None:
    moment = Moment.of(sample)
    for point, model in zip(moment.models, sample.models, strict=True):
        assert (point.model, point.granted_tokens, point.kv_bytes) == (
            model.model,
            model.granted_tokens,
            model.kv_bytes,
        )
    assert msgspec.json.decode(msgspec.json.encode(moment), type=Moment) == moment


@given(any_sample(), st.floats(0, 1e10))
def test_time_alone_is_no_change(sample: Sample, at_s: float) -> None:
    assert msgspec.structs.replace(sample, at_s=at_s).is_like(sample)
    assert not msgspec.structs.replace(sample, queued=sample.queued + 1).is_like(sample)
