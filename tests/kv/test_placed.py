"""Admission to a cache that lies in several places."""

import hypothesis.strategies as st
from hypothesis import given

from swell.devices import DeviceKind, DeviceMemory
from swell.kv.placed import AdmissionLimits, DeviceAdmission
from swell.memory.ledger import Ledger

BYTES = st.integers(0, 10_000)


class Host:
    def __init__(self, free_bytes: int) -> None:
        self._free_bytes = free_bytes

    def free_bytes(self) -> int:
        return self._free_bytes

    def total_bytes(self) -> int:
        return 10_000


def device(name: str, free_bytes: int) -> DeviceMemory:
    return DeviceMemory(name=name, kind=DeviceKind.GPU, free_bytes=free_bytes, total_bytes=10_000)


def admission_of(
    ledger: Ledger, *, host: int, free: dict[str, int], shares: dict[str, float], budget: int | None = None
) -> DeviceAdmission:
    return DeviceAdmission(
        *(ledger, 0, Host(host)),
        devices=lambda: {name: device(name, size) for name, size in free.items()},
        shares=shares,
        limits=AdmissionLimits(budget_bytes=budget, headroom_bytes=100, device_headroom_bytes=10),
    )


@given(BYTES, BYTES, BYTES, st.integers(1, 8), st.one_of(st.none(), BYTES), BYTES)
def test_a_claim_is_granted_if_every_place_has_room_for_its_part(
    host: int, first: int, second: int, layers: int, budget: int | None, wanted: int
) -> None:
    ledger = Ledger.create(1)
    shares = {"a": layers / 10, "b": 0.1}
    admission = admission_of(ledger, host=host, free={"a": first, "b": second}, shares=shares, budget=budget)
    rooms = [(first - 10) / shares["a"], (second - 10) / shares["b"]]
    if layers < 9:
        rooms.append((host - 100) / (1 - sum(shares.values())))
    spare = max(0, min(rooms)) if budget is None else max(0, min(*rooms, budget))
    refusal = admission.claim(wanted)
    assert admission.spare_bytes() <= spare + 1
    assert (refusal is None) == (wanted <= int(spare)) or abs(wanted - spare) <= 1
    assert ledger.total_granted_bytes() == (wanted if refusal is None else 0)
    ledger.close()


def test_promises_in_host_memory_do_not_count_against_devices() -> None:
    ledger = Ledger.create(2)
    assert ledger.claim(1, 5_000, None)
    wholly = admission_of(ledger, host=0, free={"a": 1_010}, shares={"a": 1.0})
    assert wholly.spare_bytes() == 1_000
    partly = admission_of(ledger, host=5_300, free={"a": 1_010}, shares={"a": 0.5})
    assert partly.spare_bytes() == 400
    ledger.close()


def test_what_is_given_back_can_be_granted_again() -> None:
    ledger = Ledger.create(1)
    admission = admission_of(ledger, host=0, free={"a": 10_000}, shares={"a": 1.0}, budget=500)
    assert admission.claim(500) is None
    assert admission.claim(1) == 0
    admission.note(500, 0)
    ledger.check()
    admission.note(0, 0)
    admission.release(500)
    assert admission.claim(500) is None
    ledger.close()
