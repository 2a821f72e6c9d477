"""Admission to a cache that lies in several places."""

from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import given

from swell.devices import DeviceKind, DeviceMemory
from swell.kv.admission import Refusal
from swell.kv.placed import AdmissionLimits, DeviceAdmission
from swell.memory.ledger import Entry, Ledger

BYTES = st.integers(0, 10_000)
HEADROOM, DEVICE_HEADROOM = 100, 10


class Host:
    def __init__(self, free_bytes: int) -> None:
        self._free_bytes = free_bytes

    def free_bytes(self) -> int:
        return self._free_bytes

    def total_bytes(self) -> int:
        return 10_000


def device(name: str, free_bytes: int) -> DeviceMemory:
    return DeviceMemory(name=name, kind=DeviceKind.GPU, free_bytes=free_bytes, total_bytes=10_000)


def admission_of(ledger: Ledger, *, host: int, free: dict[str, int], budget: int | None = None) -> DeviceAdmission:
    return DeviceAdmission(
        *(ledger, 0, Host(host)),
        devices=lambda: {name: device(name, size) for name, size in free.items()},
        limits=AdmissionLimits(budget_bytes=budget, headroom_bytes=HEADROOM, device_headroom_bytes=DEVICE_HEADROOM),
    )


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    made = Ledger.create(2)
    yield made
    made.close()


@given(BYTES, BYTES, BYTES, st.one_of(st.none(), BYTES), BYTES, BYTES, BYTES)
def test_a_claim_is_granted_if_every_place_has_room_for_its_part(
    host: int, first: int, second: int, budget: int | None, on_host: int, on_first: int, on_second: int
) -> None:
    ledger = Ledger.create(1)
    admission = admission_of(ledger, host=host, free={"a": first, "b": second}, budget=budget)
    total = on_host + on_first + on_second
    needs = {"": (on_host, host - HEADROOM), "a": (on_first, first - DEVICE_HEADROOM)}
    needs["b"] = (on_second, second - DEVICE_HEADROOM)
    short = {place for place, (needed, room) in needs.items() if needed > max(0, room)}
    if budget is not None and total > budget:
        short.add("")
    refusal = admission.claim(total, {"a": on_first, "b": on_second})
    if refusal is None:
        assert not short
        assert ledger.entry(0) == Entry(on_host, 0, 0, on_first + on_second)
        admission.release(total, {"a": on_first, "b": on_second})
    else:
        assert refusal.device in short
        assert 0 <= refusal.free_bytes < total
        for place, (needed, room) in needs.items():  # so much would fit, each place's part of it
            assert needed * refusal.free_bytes / total <= max(0, room) or place not in short
    assert ledger.entry(0) == Entry(0, 0)
    ledger.close()


def test_what_lies_on_devices_is_no_host_memory_and_the_other_way_round(ledger: Ledger) -> None:
    assert ledger.claim(1, 5_000, None)  # somebody's promise in host memory
    admission = admission_of(ledger, host=5_300, free={"a": 1_010})
    assert admission.claim(1_001, {"a": 1_001}) == Refusal(1_000, "a")
    assert admission.claim(1_000, {"a": 1_000}) is None
    assert admission.granted_bytes == 1_000
    assert ledger.spare_bytes(lambda: 5_300) == 300  # as before
    assert admission.claim(201) == Refusal(200)
    assert admission.claim(200) is None
    assert admission.claim(2, {"a": 1}) == Refusal(0)
    ledger.clear(0)
    assert ledger.total_granted_bytes() == 5_000


def test_what_passes_through_host_memory_must_fit_there(ledger: Ledger) -> None:
    admission = admission_of(ledger, host=600, free={"a": 10_000})
    admission.note(0, 300)
    assert admission.claim(1_201, {"a": 1_000}) == Refusal(1195)
    assert admission.claim(1_200, {"a": 1_000}) is None


def test_the_budget_is_for_all_places(ledger: Ledger) -> None:
    admission = admission_of(ledger, host=10_000, free={"a": 10_000}, budget=500)
    assert admission.claim(500, {"a": 400}) is None
    assert admission.claim(1) == Refusal(0)
    assert admission.claim(1, {"a": 1}) == Refusal(0)
    admission.note(100, 0)
    ledger.check()
    admission.note(0, 0)
    admission.release(500, {"a": 400})
    assert admission.claim(500, {"a": 500}) is None
