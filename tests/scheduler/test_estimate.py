import dataclasses
from pathlib import Path

import pytest
from tests.scheduler.fakes import with_adapters

from swell.cache import CacheType
from swell.models.model import Model, open_model
from swell.scheduler.cells import cell_bytes
from swell.scheduler.estimate import MemoryEstimate, MemoryEstimator, estimate

ESTIMATE = MemoryEstimate(weights_bytes=1000, kv_bytes=100, other_bytes=50)


@pytest.fixture
def bundled(model_path: Path) -> Model:
    return open_model(model_path, "smollm2:135m", "smollm2:135m")


def test_the_bundled_model(bundled: Model) -> None:
    """Measured: 96.6 MB of weights, 61 MB beside weights and cache after a prompt that fills a batch."""
    found = estimate(bundled, slots=4, batch_tokens=256, initial_tokens=2048, cache_type=CacheType.F16)
    assert found.weights_bytes == pytest.approx(96.6e6, rel=0.01)
    assert found.other_bytes == pytest.approx(61e6, rel=0.1)
    assert found.kv_bytes == 2048 * 23_040
    assert cell_bytes(bundled, CacheType.Q8_0) == 23_040 * 34 // 64


def test_adapters_are_weights_too(bundled: Model) -> None:
    plain, tuned = (
        estimate(model, slots=4, batch_tokens=256, initial_tokens=2048, cache_type=CacheType.F16)
        for model in (bundled, with_adapters(bundled, "one", "other", adapter_bytes=5_000_000))
    )
    assert tuned == dataclasses.replace(plain, weights_bytes=plain.weights_bytes + 10_000_000)


def test_what_was_measured_replaces_the_estimate() -> None:
    estimator = MemoryEstimator()
    estimator.note("a", ESTIMATE, 70)
    estimator.note("a", ESTIMATE, 60)
    assert estimator.correct("a", ESTIMATE).total_bytes == 1170


def test_what_was_measured_corrects_the_estimates_of_others() -> None:
    estimator = MemoryEstimator()
    for number in range(20):
        estimator.note(str(number), ESTIMATE, 75)
    assert estimator.correct("new", ESTIMATE).other_bytes == 75
    estimator.note("odd", ESTIMATE, 10**9)
    assert estimator.correct("new", ESTIMATE).other_bytes < 90
