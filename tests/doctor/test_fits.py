"""Which window fits, over the whole range of rooms, and beside what the real model takes."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.cache import CacheType
from swell.devices import DeviceKind, DeviceMemory
from swell.doctor.fits import Room, longest_window, most
from swell.models.model import Model, open_model
from swell.scheduler.cells import cell_bytes
from swell.scheduler.first_grant import FirstGrant
from swell.scheduler.load_message import estimated_memory
from swell.scheduler.load_options import LoadOptions
from swell.settings import Settings

MB = 10**6
BYTES = st.integers(-(10**9), 3 * 10**9)
DEVICES = st.lists(
    st.builds(
        DeviceMemory,
        name=st.sampled_from(["CUDA0", "CUDA1"]),
        kind=st.sampled_from([DeviceKind.GPU, DeviceKind.INTEGRATED_GPU]),
        free_bytes=st.integers(0, 10**9),
        total_bytes=st.just(10**9),
    ),
    max_size=2,
    unique_by=lambda device: device.name,
)
ROOMS = st.builds(Room, host_bytes=BYTES, budget_bytes=st.none() | BYTES, devices=DEVICES)


@pytest.fixture(scope="module")
def smollm(model_path: Path) -> Model:
    return open_model(model_path, "smollm2:135m", "smollm2:135m")


@given(limit=st.integers(-3, 10**7), last=st.integers(-3, 10**7))
def test_the_most_that_fits_is_found(limit: int, last: int) -> None:
    assert most(lambda number: number <= last, limit) == max(0, min(limit, last))


@given(room=ROOMS, kind=st.sampled_from(CacheType))
def test_a_window_never_exceeds_room_budget_or_model(smollm: Model, room: Room, kind: CacheType) -> None:
    fitting = longest_window(smollm, kind, room, Settings())
    assert 0 <= fitting.window_tokens <= smollm.context_length
    if fitting.window_tokens and room.budget_bytes is not None:
        assert fitting.window_tokens * cell_bytes(smollm, kind) <= room.budget_bytes
    if not room.devices:
        taken = estimated_memory(smollm, LoadOptions(cache_type=kind), Settings(), FirstGrant(2048, 2048))
        cache = fitting.window_tokens * cell_bytes(smollm, kind)
        assert not fitting.window_tokens or taken.weights_bytes + taken.other_bytes + cache <= room.host_bytes
        assert (fitting.device_layers, fitting.is_cache_on_devices) == (0, False)


@given(room=ROOMS, more_bytes=st.integers(0, 10**9))
def test_more_memory_or_smaller_numbers_never_fit_less(smollm: Model, room: Room, more_bytes: int) -> None:
    larger = dataclasses.replace(room, host_bytes=room.host_bytes + more_bytes)
    f16, q8_0, q4_0 = (longest_window(smollm, kind, room, Settings()).window_tokens for kind in CacheType)
    assert longest_window(smollm, CacheType.F16, larger, Settings()).window_tokens >= f16
    if not room.devices:  # where there are, a smaller cache makes room there for another layer's weights
        assert f16 <= q8_0 <= q4_0


@given(ceiling=st.integers(1, 20_000))
def test_a_ceiling_is_all_that_is_asked_for(smollm: Model, ceiling: int) -> None:
    settings = Settings(context_length=ceiling)
    room = Room(host_bytes=10**10, budget_bytes=None)
    assert longest_window(smollm, CacheType.F16, room, settings).window_tokens == min(ceiling, 8192)


def test_layers_on_a_device_leave_the_host_free(smollm: Model) -> None:
    device = DeviceMemory(name="CUDA0", kind=DeviceKind.GPU, free_bytes=2 * 10**9, total_bytes=2 * 10**9)
    beside = Room(host_bytes=100 * MB, budget_bytes=None, devices=[device])
    alone = dataclasses.replace(beside, devices=[])
    assert longest_window(smollm, CacheType.F16, alone, Settings()).window_tokens == 0
    fitting = longest_window(smollm, CacheType.F16, beside, Settings())
    assert (fitting.window_tokens, fitting.is_cache_on_devices) == (8192, True)
    assert fitting.device_layers == smollm.layers + 1
