"""From options and found devices to an order, and what a load teaches."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.cache import StoreKind
from swell.devices import HOST_ONLY, ContextCells, DeviceKind, DeviceMemory, DeviceUse, LayersOn, Placement
from swell.errors import ContextError, DevicesFullError, InvalidRequestError, ModelLoadError, RunnerLostError
from swell.models.model import Model, open_model
from swell.options import merge
from swell.protocol.messages import DevicesFound, Load, WorkerMissing
from swell.scheduler.load_options import LoadOptions, requested_load_options
from swell.scheduler.placement.placer import RETREATS_MAX, Placer
from swell.settings import Settings

LOAD = Load(path="", log_level=0, slots=1, ledger_fd=0, devices_fd=0, demands_fd=0, ledger_entry=0)
ROOMY = DevicesFound(
    [
        DeviceMemory(name=name, kind=DeviceKind.WORKER, free_bytes=10**9, total_bytes=10**9)
        for name in ("far:1", "far:2")
    ],
    [],
)


@pytest.fixture
def model(model_path: Path) -> Model:
    return open_model(model_path, "smollm2:135m", "smollm2:135m")


def decide(model: Model, options: dict[str, object], settings: Settings | None = None) -> tuple[LayersOn, ...]:
    placer = Placer(settings or Settings())
    return (
        placer.place(model, LOAD, requested_load_options(merge(options), model, placer.devices), dict)
        .decide(ROOMY)
        .shares
    )


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({}, (LayersOn("far:1", 31),)),
        ({"num_gpu": 0}, ()),
        ({"num_gpu": 4}, (LayersOn("far:1", 4),)),
        ({"num_gpu": 999}, (LayersOn("far:1", 31),)),
        ({"main_gpu": 1}, (LayersOn("far:2", 31),)),
        ({"sched_spread": True}, (LayersOn("far:1", 18), LayersOn("far:2", 13))),
    ],
)
def test_options_are_met(model: Model, options: dict[str, object], shares: tuple[LayersOn, ...]) -> None:
    assert decide(model, options) == shares


def placement(model: Model, store: StoreKind | None, free_bytes: int) -> Placement:
    """That of a model whose cache is held so, with one device."""
    device = DeviceMemory(name="far:1", kind=DeviceKind.WORKER, free_bytes=free_bytes, total_bytes=10**9)
    placer = Placer(Settings())
    load = msgspec.structs.replace(LOAD, store=store)
    options = requested_load_options(merge({}), model, placer.devices)
    return placer.place(model, load, options, dict).decide(DevicesFound([device], []))


@pytest.mark.parametrize("store", [None, *StoreKind])
def test_who_can_keep_a_context_makes_it_for_the_whole_window(model: Model, store: StoreKind | None) -> None:
    is_made_anew = store in (StoreKind.COPIED, StoreKind.EAGER)
    assert placement(model, store, 10**9).cells is (ContextCells.GRANTED if is_made_anew else ContextCells.WINDOW)


@given(free_bytes=st.integers(0, 400_000_000))
def test_a_context_for_the_whole_window_costs_no_layer(model_path: Path, free_bytes: int) -> None:
    model = open_model(model_path, "smollm2:135m", "smollm2:135m")
    placed, copied = (placement(model, store, free_bytes) for store in (None, StoreKind.COPIED))
    assert placed.device_layers == copied.device_layers


def test_options_say_more_than_settings(model: Model) -> None:
    assert len(decide(model, {}, Settings(sched_spread=True))) == 2
    assert len(decide(model, {"sched_spread": False}, Settings(sched_spread=True))) == 1


def test_a_request_for_what_the_planner_chose_is_met(model: Model) -> None:
    placer = Placer(Settings())
    placing = placer.place(model, LOAD, LoadOptions(), dict)
    placing.decide(ROOMY)
    placed = placing.compare([])
    for options in ({}, {"num_gpu": 31}, {"num_gpu": 999, "main_gpu": 0}, {"sched_spread": False}):
        assert requested_load_options(merge(options), model, placer.devices).is_met_by(placed)
    for options in ({"num_gpu": 30}, {"main_gpu": 1}, {"sched_spread": True}):
        assert not requested_load_options(merge(options), model, placer.devices).is_met_by(placed)


def test_a_device_that_is_not_there_is_refused(model: Model) -> None:
    with pytest.raises(InvalidRequestError, match=r"main_gpu 2 .* far:1, far:2"):
        decide(model, {"main_gpu": 2})


def test_without_devices_everything_is_in_host_memory(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    placer = Placer(Settings())
    found = DevicesFound([], [WorkerMissing("far:1", "Connection refused")])
    assert placer.place(model, LOAD, LoadOptions(main_device=2), dict).decide(found) == HOST_ONLY
    assert "going on without the worker far:1: Connection refused" in caplog.text


def test_a_load_that_took_more_makes_the_next_one_smaller(model: Model) -> None:
    placer = Placer(Settings())
    found = tight(190_000_000)
    placing = placer.place(model, LOAD, LoadOptions(), dict)
    assert placing.decide(found).device_layers == 31
    use = DeviceUse(
        name="far:1",
        kind=DeviceKind.WORKER,
        layers=31,
        weights_bytes=96_576_768,
        kv_bytes=2048 * 23_040,
        compute_bytes=40_000_000,
        free_bytes=0,
        total_bytes=0,
    )
    placing.compare([use])
    assert 0 < placer.place(model, LOAD, LoadOptions(), dict).decide(found).device_layers < 31


def tight(*free_bytes: int) -> DevicesFound:
    pairs = zip(ROOMY.devices, free_bytes, strict=False)
    return DevicesFound([msgspec.structs.replace(device, free_bytes=free) for device, free in pairs], [])


def test_idle_models_make_way_where_that_gains_layers(model: Model) -> None:
    held = {"far:1": 100_000_000}
    placing = Placer(Settings()).place(model, LOAD, LoadOptions(), lambda: held)
    with pytest.raises(DevicesFullError):
        placing.decide(tight(100_000_000))
    assert placing.decide(tight(250_000_000)).device_layers == 31
    held.clear()
    assert 0 < placing.decide(tight(100_000_000)).device_layers < 31


def test_what_a_device_refused_is_planned_smaller_but_not_for_ever(model: Model) -> None:
    placer = Placer(Settings())
    placing = placer.place(model, LOAD, LoadOptions(), dict)
    layers = []
    for _ in range(RETREATS_MAX):
        layers.append(placing.decide(tight(190_000_000)).device_layers)
        assert not placing.retreats(RunnerLostError())
        assert placing.retreats(ContextError(2048, 1, "no memory"))
    layers.append(placing.decide(tight(190_000_000)).device_layers)
    assert layers == sorted(layers, reverse=True)
    assert layers[-1] < layers[0]
    assert not placing.retreats(ContextError(2048, 1, "no memory"))


def test_an_order_that_a_device_refused_is_not_changed(model: Model) -> None:
    placing = Placer(Settings()).place(model, LOAD, LoadOptions(device_layers=31), dict)
    assert placing.decide(tight(1000)).device_layers == 31
    assert not placing.retreats(ModelLoadError("model", "no memory"))
