"""The governor, on a clock and readings that a test turns."""

import logging
import os

import pytest

from swell.processors.allowance import Allowance
from swell.processors.governor import LASTING_S, Governor
from swell.processors.policy import LOOK_S
from swell.processors.readings import KernelReadings, Reading
from swell.processors.shares import Demands

CORES = 4


class Machine:
    """Four processors, and compute threads that each wait for `waits` of the time."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waited_s = dict.fromkeys(range(CORES), 0.0)
        self.idle_s = 0.0
        self.tells = True
        self.demands = Demands.create(2)

    def read(self) -> Reading | None:
        return Reading(dict(self.waited_s), self.idle_s) if self.tells else None

    def governor(self, entry: int = 0, exact: int | None = None) -> Governor:
        return Governor(
            self.demands,
            entry,
            exact=exact,
            allowance=Allowance((), lambda: frozenset(range(5000, 5000 + CORES))),
            readings=self,
            clock=lambda: self.now_s,
        )

    def compute(self, governor: Governor, seconds: float, *, wait: float = 0, idle: float = 0) -> int:
        """Steps of 10 ms."""
        for _ in range(round(seconds / 0.01)):
            threads = governor.threads_for_step()
            self.now_s += 0.01
            self.idle_s += 0.01 * idle
            for thread in range(threads):
                self.waited_s[thread] += 0.01 * wait
        return governor.threads_for_step()

    def idle(self, seconds: float, idle: float = CORES) -> None:
        self.now_s += seconds
        self.idle_s += seconds * idle


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_threads_follow_what_the_machine_can_give(machine: Machine) -> None:
    governor = machine.governor()
    assert machine.compute(governor, 2) == CORES
    assert machine.compute(governor, 1, wait=0.3) < CORES
    assert machine.compute(governor, 10, wait=0.5) == 1
    assert governor.use.now == 1
    assert governor.use.allowed == CORES
    assert governor.use.waited_s > 0
    assert machine.compute(governor, 3, idle=3) == CORES


def test_an_exact_number_stays(machine: Machine) -> None:
    governor = machine.governor(exact=3)
    machine.demands.want(1, CORES)
    assert machine.compute(governor, 5, wait=0.9) == 3
    assert (governor.use.now, governor.use.allowed) == (3, 3)


def test_requests_that_all_want_a_number_have_the_largest(machine: Machine) -> None:
    governor = machine.governor()
    assert governor.threads_for_step([1]) == 1
    assert (governor.use.now, governor.use.allowed) == (1, 1)
    assert governor.threads_for_step([1, 3, 2]) == 3
    assert governor.threads_for_step([1, None]) == CORES  # a request that asks for a number doesn't decide for others
    assert governor.use.allowed == CORES


def test_what_was_asked_for_teaches_nothing_and_is_seen_by_other_runners(machine: Machine) -> None:
    """Seven threads wait for each other; that says nothing about how many should compute."""
    governor = machine.governor()
    for _ in range(200):
        governor.threads_for_step([CORES])
        machine.now_s += 0.01
        machine.waited_s = {thread: waited_s + 0.009 for thread, waited_s in machine.waited_s.items()}
    assert machine.demands.others(1) == [CORES]
    assert governor.threads_for_step([None]) == CORES


def test_runners_that_compute_share(machine: Machine) -> None:
    one, other = machine.governor(0), machine.governor(1)
    assert machine.compute(one, 1) == CORES
    assert other.threads_for_step() == CORES // 2
    assert machine.compute(one, LOOK_S + 0.02) == CORES // 2
    other.rest()
    assert machine.compute(one, LOOK_S + 0.02) == CORES


def test_one_that_wants_less_leaves_the_rest(machine: Machine) -> None:
    machine.governor(1, exact=1).threads_for_step()
    assert machine.governor(0).threads_for_step() == CORES - 1


def test_new_work_on_an_unused_machine_has_all_threads_at_once(machine: Machine) -> None:
    governor = machine.governor()
    machine.compute(governor, 10, wait=0.5)
    governor.rest()
    machine.idle(1)
    assert governor.threads_for_step() == CORES


def test_waiting_between_requests_is_nobodys_contention(machine: Machine) -> None:
    governor = machine.governor()
    for _ in range(10):
        machine.compute(governor, 0.05)
        governor.rest()
        machine.idle(5, idle=0)
    assert governor.threads_for_step() == CORES


def test_where_the_kernel_tells_nothing_only_shares_count(machine: Machine) -> None:
    machine.tells = False
    governor = machine.governor()
    assert machine.compute(governor, 5, wait=0.9) == CORES
    machine.demands.want(1, CORES)
    assert machine.compute(governor, LOOK_S + 0.02) == CORES // 2


def test_a_lasting_change_is_logged_once(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    governor = machine.governor()
    machine.compute(governor, 4, wait=0.5)
    assert caplog.messages == []
    machine.compute(governor, 3 * LASTING_S, wait=0.5)
    assert caplog.messages == ["computing with 1 of 4 threads now"]


def test_the_kernel_counts_threads_and_idle_time() -> None:
    reading, without = KernelReadings().read(), KernelReadings(ignored=os.getpid()).read()
    assert reading is not None
    assert without is not None
    assert os.getpid() in reading.waited_s
    assert os.getpid() not in without.waited_s
    assert reading.idle_s > 0
