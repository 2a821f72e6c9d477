"""A server's admission: what it grants, what it refuses, and with which numbers."""

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kv.admitting import ENTRIES, SetMemory, admission_of

from swell.kv.admission import Refusal
from swell.kv.memory_admission import MemoryAdmission
from swell.memory.ledger import Entry, Ledger

MB = 1_000_000


@pytest.mark.parametrize(
    ("free", "budget", "headroom", "most"),
    [
        (100, None, 0, 100),
        (100, 60, 0, 60),
        (60, 100, 0, 60),
        (100, 100, 30, 70),
        (100, 60, 30, 60),
        (100, None, 100, 0),
        (20, None, 50, 0),
        (100, 0, 0, 0),
    ],
)
def test_the_tighter_of_budget_and_free_memory_holds(
    ledger: Ledger, free: int, budget: int | None, headroom: int, most: int
) -> None:
    own = admission_of(ledger, free, budget=budget, headroom=headroom)
    assert own.spare_bytes() == most
    assert own.claim(most + 1) == Refusal(most)
    assert ledger.total_granted_bytes() == 0
    assert own.claim(most) is None
    assert ledger.total_granted_bytes() == most
    assert own.spare_bytes() == 0
    assert own.claim(1) == Refusal(0)


def test_what_is_promised_and_not_written_is_no_longer_free(ledger: Ledger) -> None:
    own = admission_of(ledger, 100)
    assert own.claim(70) is None
    assert own.spare_bytes() == 30
    own.note(50, 0)  # had they been written meanwhile, the probe would say 50
    assert own.spare_bytes() == 80


def test_the_promises_of_another_runner_count(ledger: Ledger) -> None:
    own, other = admission_of(ledger, 100, entry=0, headroom=10), admission_of(ledger, 100, entry=1, headroom=10)
    assert other.claim(60) is None
    assert own.spare_bytes() == 30
    assert own.claim(31) == Refusal(30)
    other.note(60, 0)
    assert own.claim(31) is None


def test_the_budget_is_one_for_all_runners(ledger: Ledger) -> None:
    admissions = [admission_of(ledger, 1000 * MB, entry=entry, budget=100) for entry in range(ENTRIES)]
    assert [each.claim(40) for each in admissions] == [None, None, Refusal(20)]
    admissions[0].note(40, 0)  # a budget is of what is granted, written or not
    assert admissions[2].claim(40) == Refusal(20)
    admissions[0].release(25)
    assert admissions[2].claim(40) is None
    assert admissions[1].claim(10) == Refusal(5)


def test_free_memory_is_measured_for_every_claim(ledger: Ledger) -> None:
    memory = SetMemory(100)
    own = MemoryAdmission(ledger, 0, memory, budget_bytes=None, headroom_bytes=0)
    memory.bytes = 10
    assert own.claim(20) == Refusal(10)
    memory.bytes = 50
    assert own.claim(20) is None


def test_what_is_released_can_be_claimed_again(ledger: Ledger) -> None:
    own = admission_of(ledger, 100, budget=80)
    assert own.claim(80) is None
    own.release(30)
    assert own.spare_bytes() == 30
    assert own.claim(30) is None
    own.release(80)
    assert own.spare_bytes() == 80
    with pytest.raises(ValueError, match="release"):
        own.release(1)


def test_a_growth_leaves_room_for_the_mapped_weights_of_all_runners(ledger: Ledger) -> None:
    """The kernel calls them cache that it can drop; then they are read from the disk for every token."""
    own = admission_of(ledger, 100, headroom=10)
    ledger.note_mapped(0, 30)
    ledger.note_mapped(1, 20)
    assert own.spare_bytes() == 40
    assert own.claim(41) == Refusal(40)
    assert own.claim(40) is None
    ledger.clear(1)
    assert own.spare_bytes() == 20


def test_used_and_granted_are_booked_for_the_own_entry(ledger: Ledger) -> None:
    own = admission_of(ledger, 100, entry=1)
    own.claim(70)
    own.note(20, 0)
    assert [ledger.entry(entry) for entry in range(ENTRIES)] == [Entry(0, 0), Entry(70, 20), Entry(0, 0)]


def test_nothing_is_spare_where_more_is_promised_than_there_is(ledger: Ledger) -> None:
    memory = SetMemory(100)
    own = MemoryAdmission(ledger, 0, memory, budget_bytes=90, headroom_bytes=10)
    assert own.claim(90) is None
    memory.bytes = 5
    assert own.spare_bytes() == 0
    assert own.claim(1) == Refusal(0)
    assert ledger.total_granted_bytes() == 90


def test_a_budget_that_was_lowered_below_what_is_granted_refuses(ledger: Ledger) -> None:
    assert admission_of(ledger, 100, entry=0, budget=80).claim(80) is None
    own = admission_of(ledger, 100, entry=1, budget=50)
    assert own.spare_bytes() == 0
    assert own.claim(1) == Refusal(0)


class Runners:
    """Runners on one ledger in one simulated machine: what one writes is no longer free for any."""

    def __init__(
        self, ledger: Ledger, total_bytes: int, budget_bytes: int | None, headroom_bytes: int, mapped_bytes: int
    ) -> None:
        self.mapped_bytes = mapped_bytes
        ledger.note_mapped(ENTRIES - 1, mapped_bytes)
        self.memory = SetMemory(total_bytes)
        self.total_bytes, self.budget_bytes, self.headroom_bytes = total_bytes, budget_bytes, headroom_bytes
        self.granted, self.written = [0] * ENTRIES, [0] * ENTRIES
        self.admissions = [
            MemoryAdmission(ledger, entry, self.memory, budget_bytes=budget_bytes, headroom_bytes=headroom_bytes)
            for entry in range(ENTRIES)
        ]

    def claim(self, entry: int, amount_bytes: int) -> None:
        self.admissions[entry].note(self.written[entry], 0)
        spare_bytes = self.admissions[entry].spare_bytes()
        refusal = self.admissions[entry].claim(amount_bytes)
        if refusal is None:
            assert amount_bytes <= spare_bytes or amount_bytes == 0
            self.granted[entry] += amount_bytes
        else:
            assert 0 <= refusal.free_bytes == spare_bytes < amount_bytes

    def write(self, entry: int, amount_bytes: int) -> None:
        """A grant is written to, which is not booked before the next claim."""
        self._set_written(entry, min(self.granted[entry], self.written[entry] + amount_bytes))

    def release(self, entry: int, amount_bytes: int) -> None:
        amount_bytes = min(amount_bytes, self.granted[entry])
        self.granted[entry] -= amount_bytes
        self._set_written(entry, min(self.written[entry], self.granted[entry]))
        self.admissions[entry].note(self.written[entry], 0)
        self.admissions[entry].release(amount_bytes)

    def _set_written(self, entry: int, written_bytes: int) -> None:
        self.written[entry] = written_bytes
        self.memory.bytes = self.total_bytes - sum(self.written)

    def check(self, ledger: Ledger) -> None:
        assert [ledger.entry(entry).granted_bytes for entry in range(ENTRIES)] == self.granted
        assert sum(self.granted) <= max(0, self.total_bytes - self.headroom_bytes - self.mapped_bytes)
        assert self.budget_bytes is None or sum(self.granted) <= self.budget_bytes
        ledger.check()


STEPS = st.tuples(
    st.sampled_from([Runners.claim, Runners.write, Runners.release]), st.integers(0, ENTRIES - 1), st.integers(0, 80)
)


@given(
    total=st.integers(0, 200),
    budget=st.none() | st.integers(0, 200),
    headroom=st.integers(0, 50),
    mapped=st.integers(0, 50),
    steps=st.lists(STEPS, max_size=60),
)
def test_runners_are_never_promised_more_than_there_is(
    total: int,
    budget: int | None,
    headroom: int,
    mapped: int,
    steps: list[tuple[Callable[[Runners, int, int], None], int, int]],
) -> None:
    with contextlib.closing(Ledger.create(ENTRIES)) as ledger:
        runners = Runners(ledger, total, budget, headroom, mapped)
        for step, entry, amount_bytes in steps:
            step(runners, entry, amount_bytes)
            runners.check(ledger)


# --- several at once -------------------------------------------------------------------------------------------


@pytest.fixture
def hurried_threads() -> Iterator[None]:
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval_s)


@pytest.mark.usefixtures("hurried_threads")
def test_runners_that_claim_at_the_same_time_are_not_promised_the_same_memory(ledger: Ledger) -> None:
    held = [0] * ENTRIES  # not what the ledger says: there a claim is written down before it is known to be granted

    def most_held(entry: int) -> int:
        own, chance, most = admission_of(ledger, 100, entry=entry), random.Random(entry), 0
        for _ in range(3000):
            amount_bytes = chance.randint(1, 100)
            if own.claim(amount_bytes) is None:
                held[entry] += amount_bytes
                most = max(most, sum(held))
            if held[entry] and chance.random() < 0.7:
                released_bytes, held[entry] = held[entry], 0
                own.release(released_bytes)
        return most

    with ThreadPoolExecutor(ENTRIES) as threads:
        assert max(threads.map(most_held, range(ENTRIES))) <= 100
