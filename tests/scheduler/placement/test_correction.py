"""Estimates come nearer to what is really taken."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from swell.devices import DeviceKind, DeviceMemory, DeviceUse
from swell.scheduler.placement.correction import Correction
from swell.scheduler.placement.needs import Needs
from swell.scheduler.placement.planner import PlacementOptions, PlacementPlan, plan

NEEDS = Needs(
    layer_bytes=(10_000,) * 10, output_bytes=30_000, kv_bytes=(5_000,) * 10, compute_bytes=20_000, input_bytes=4_000
)
DEVICES = [
    DeviceMemory(name=name, kind=DeviceKind.WORKER, free_bytes=2_000_000, total_bytes=2_000_000) for name in ("a", "b")
]
FACTORS = st.floats(0.2, 6)


def uses(planned: PlacementPlan, *, weights: float = 1, compute: float = 1) -> list[DeviceUse]:
    """What a load takes that is off by these factors from the uncorrected estimate."""
    raw = plan(NEEDS, DEVICES, PlacementOptions(), 0)
    return [
        DeviceUse(
            name=name,
            kind=DeviceKind.WORKER,
            layers=1,
            weights_bytes=round(raw.devices[name].weights * weights),
            kv_bytes=raw.devices[name].kv,
            compute_bytes=round(raw.devices[name].compute * compute),
            free_bytes=0,
            total_bytes=0,
        )
        for name in planned.devices
    ]


@given(FACTORS, FACTORS)
def test_the_second_plan_expects_what_the_first_load_took(weights: float, compute: float) -> None:
    first = plan(NEEDS, DEVICES, PlacementOptions(), 0)
    taken = uses(first, weights=weights, compute=compute)
    learnt = Correction().learn(first, taken)
    second = plan(learnt.apply(NEEDS), DEVICES, PlacementOptions(), 0)
    for use in taken:
        assert second.devices[use.name].total == pytest.approx(use.used_bytes, rel=0.01)
    again = learnt.learn(second, taken)
    assert (again.weights, again.compute) == pytest.approx((learnt.weights, learnt.compute), rel=0.01)


@given(st.floats(0, 1e6))
def test_no_measurement_makes_an_estimate_absurd(factor: float) -> None:
    first = plan(NEEDS, DEVICES, PlacementOptions(), 0)
    learnt = Correction().learn(first, uses(first, weights=factor, compute=factor))
    assert 1 / 8 <= learnt.weights <= 8
    assert 1 / 8 <= learnt.compute <= 8


def test_nothing_on_devices_teaches_nothing() -> None:
    assert Correction().learn(plan(NEEDS, [], PlacementOptions(), 0), []) == Correction()
