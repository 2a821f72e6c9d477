"""The planner's promises, for any model and any devices."""

import dataclasses
import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from swell.devices import DeviceKind, DeviceMemory, Fill, KvPlace, LayersOn
from swell.errors import InvalidRequestError
from swell.scheduler.placement.needs import Needs
from swell.scheduler.placement.planner import PlacementOptions, PlacementPlan, plan

SIZES = st.integers(0, 1000)
HEADROOMS = st.integers(0, 200)
WISHES = st.builds(PlacementOptions, fill=st.sampled_from(Fill), kv=st.sampled_from([None, *KvPlace]))


@st.composite
def needs(draw: st.DrawFn) -> Needs:
    layers = draw(st.integers(1, 12))
    sizes = st.lists(SIZES, min_size=layers, max_size=layers).map(tuple)
    return Needs(
        layer_bytes=draw(sizes),
        output_bytes=draw(SIZES),
        kv_bytes=draw(sizes),
        compute_bytes=draw(st.integers(0, 300)),
        input_bytes=draw(st.integers(0, 50)),
        growth=draw(st.floats(0, 1)),
    )


@st.composite
def device_lists(draw: st.DrawFn, most: int = 4) -> list[DeviceMemory]:
    return [
        device(f"d{number}", draw(st.integers(0, 8000)), draw(st.sampled_from(DeviceKind)))
        for number in range(draw(st.integers(0, most)))
    ]


def device(name: str, free_bytes: int, kind: DeviceKind = DeviceKind.WORKER) -> DeviceMemory:
    return DeviceMemory(name=name, kind=kind, free_bytes=free_bytes, total_bytes=max(free_bytes, 8000))


def even(layers: int, *, weights: int = 100, kv: int = 0, output: int = 100, scratch: int = 0) -> Needs:
    return Needs(
        layer_bytes=(weights,) * layers,
        output_bytes=output,
        kv_bytes=(kv,) * layers,
        compute_bytes=scratch,
        input_bytes=0,
    )


def counts(planned: PlacementPlan) -> list[tuple[str, int]]:
    return [(share.device, share.layers) for share in planned.placement.shares]


@given(needs(), device_lists(), WISHES, HEADROOMS)
def test_everything_is_somewhere_once(
    model: Needs, devices: list[DeviceMemory], wish: PlacementOptions, headroom: int
) -> None:
    planned = plan(model, devices, wish, headroom)
    places = [*planned.devices.values(), planned.host]
    assert sum(place.weights for place in places) == sum(model.weights)
    assert sum(place.kv for place in places) == sum(model.kv)
    assert list(planned.devices) == [share.device for share in planned.placement.shares]
    assert len(set(planned.devices)) == len(planned.placement.shares)
    assert all(share.layers > 0 for share in planned.placement.shares)


@given(needs(), device_lists(), WISHES, HEADROOMS)
def test_without_an_order_no_device_gets_more_than_fits(
    model: Needs, devices: list[DeviceMemory], wish: PlacementOptions, headroom: int
) -> None:
    free = {device.name: device.free_bytes for device in devices}
    for name, bytes_ in plan(model, devices, wish, headroom).devices.items():
        assert bytes_.total <= free[name] - headroom


@given(needs(), device_lists(), st.integers(0, 20), st.sampled_from(Fill))
def test_an_ordered_number_of_layers_is_met(model: Needs, devices: list[DeviceMemory], layers: int, fill: Fill) -> None:
    placement = plan(model, devices, PlacementOptions(layers=layers, fill=fill), 0).placement
    assert placement.device_layers == (min(layers, len(model.weights)) if devices else 0)


@given(needs(), device_lists(), HEADROOMS)
def test_a_model_that_fits_one_device_is_on_one(model: Needs, devices: list[DeviceMemory], headroom: int) -> None:
    devices = [device for device in devices if device.kind is not DeviceKind.INTEGRATED_GPU]
    whole = (
        sum(model.weights)
        + sum(math.ceil(kv * (1 + model.growth)) for kv in model.kv)
        + model.scratch_bytes(1)
        + headroom
    )
    planned = plan(model, devices, PlacementOptions(), headroom)
    best = [device for device in devices if device.kind is DeviceKind.GPU] or devices
    if any(device.free_bytes >= whole for device in best):
        assert len(planned.placement.shares) == 1
        assert planned.placement.device_layers == len(model.weights)
        assert planned.placement.kv is KvPlace.DEVICE


@given(needs(), st.integers(0, 8000), st.integers(0, 4000), st.sampled_from(KvPlace))
def test_more_room_never_means_fewer_layers_on_a_device(model: Needs, free: int, more: int, kv: KvPlace) -> None:
    before, after = (
        plan(model, [device("d", room)], PlacementOptions(kv=kv), 0).placement.device_layers
        for room in (free, free + more)
    )
    assert after >= before


@given(needs(), device_lists(), st.integers(0, 3), st.sampled_from(Fill))
def test_the_main_device_is_the_only_one(model: Needs, devices: list[DeviceMemory], main: int, fill: Fill) -> None:
    wish = PlacementOptions(main_device=main, fill=fill)
    if devices and main >= len(devices):
        with pytest.raises(InvalidRequestError, match="main_gpu"):
            plan(model, devices, wish, 0)
        return
    shares = plan(model, devices, wish, 0).placement.shares
    assert [share.device for share in shares] in ([], [devices[main].name] if devices else [])


def test_a_small_start_keeps_all_layers_on_the_device() -> None:
    devices = [device("d", 4000)]
    assert counts(plan(even(20, kv=50), devices, PlacementOptions(), 0)) == [("d", 21)]
    assert counts(plan(even(20, kv=400), devices, PlacementOptions(kv=KvPlace.DEVICE), 0)) == [("d", 8)]


def test_the_cache_goes_to_the_host_where_that_saves_most_of_the_layers() -> None:
    planned = plan(even(20, kv=400), [device("d", 2200)], PlacementOptions(), 0)
    assert (counts(planned), planned.placement.kv) == ([("d", 21)], KvPlace.HOST)
    assert planned.host.kv == 8000


def test_there_is_room_left_for_the_first_growth() -> None:
    model = dataclasses.replace(even(20, kv=50), growth=0.5)
    planned = plan(model, [device("d", 1850)], PlacementOptions(), 0)
    assert counts(planned) == [("d", 11)]
    assert planned.devices["d"].total == 10 * 150 + 100


def test_spread_follows_the_room() -> None:
    devices = [device("a", 6000), device("b", 3000)]
    assert counts(plan(even(29), devices, PlacementOptions(), 0)) == [("a", 30)]
    assert counts(plan(even(29), devices, PlacementOptions(fill=Fill.SPREAD), 0)) == [("a", 20), ("b", 10)]


def test_a_model_too_large_for_one_device_is_on_two() -> None:
    planned = plan(even(29, scratch=50), [device("a", 2050), device("b", 1500)], PlacementOptions(), 0)
    assert counts(planned) == [("a", 20), ("b", 10)]
    assert planned.host.weights == 0


def test_what_fits_nowhere_is_in_host_memory_at_the_front() -> None:
    planned = plan(even(29), [device("a", 1000), device("b", 500)], PlacementOptions(), 0)
    assert counts(planned) == [("a", 10), ("b", 5)]
    assert planned.host.weights == 1500


def test_workers_come_before_the_gpu_which_computes_the_output() -> None:
    devices = [device("far", 2000), device("near", 2000, DeviceKind.GPU)]
    assert counts(plan(even(29), devices, PlacementOptions(), 0)) == [("far", 20), ("near", 10)]
    assert counts(plan(even(15), devices, PlacementOptions(), 0)) == [("near", 16)]


def test_the_cache_of_each_device_is_a_part_of_all_layers() -> None:
    placement = plan(even(4, kv=10), [device("a", 330), device("b", 330)], PlacementOptions(), 0).placement
    assert placement.shares == (LayersOn("a", 3), LayersOn("b", 2))
    assert placement.kv_shares(4) == {"a": 0.75, "b": 0.25}
