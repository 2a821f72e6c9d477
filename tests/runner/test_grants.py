"""What the server is told of growths and shrinks, by an engine with the real model."""

from collections.abc import Iterator

import pytest
from tests.runner.harness import POLICY, Harness

from swell.llama.model import LlamaModel
from swell.memory.resident import PAGE_BYTES
from swell.metrics.events import ShrinkCause
from swell.protocol.messages import GrantChanged, Shrink, ShrinkLevel

LONG = "The quick brown fox jumps over the lazy dog. " * 20


def follows(grants: list[GrantChanged], slots: int) -> list[int]:
    """The grants of all slots after the changes, each of which must begin where the last one ended."""
    granted = [POLICY.initial_cells] * slots
    for one in grants:
        assert one.from_tokens == granted[one.slot]
        granted[one.slot] = one.to_tokens
    return granted


@pytest.fixture
def harness(model: LlamaModel) -> Iterator[Harness]:
    made = Harness(model)
    yield made
    made.store.close()


def test_each_change_of_a_grant_is_told_and_counted(harness: Harness) -> None:
    for number, (prompt, limit) in enumerate([(LONG, 40), ("Hello", 5), ("Good morning", 5), ("Bye", 5)], start=1):
        harness.submit(number, prompt, limit=limit)
        harness.run()
    assert follows(harness.grants, len(harness.engine.slots)) == [slot.cells.granted for slot in harness.engine.slots]
    assert harness.grants[-1].granted_bytes == harness.store.booked_bytes
    totals = harness.engine.counters.totals()
    raised = [one for one in harness.grants if one.to_tokens > one.from_tokens]
    assert totals.growths == len(raised) > 0
    assert totals.growths + totals.shrinks == len(harness.grants)
    assert {one.generation for one in raised} == {1}
    assert all(one.stall_ns > 0 for one in harness.grants)
    assert totals.stall_ns == sum(one.stall_ns for one in harness.grants)
    assert totals.stall_ns <= sum(slot.cells.changing_ns for slot in harness.engine.slots)


def test_the_books_know_what_the_kernel_counts_but_for_pages_that_are_shared(harness: Harness) -> None:
    harness.submit(1, LONG, limit=5)
    harness.submit(2, "Hello", limit=5)
    harness.run()
    estimated, measured = harness.store.estimate(), harness.store.measure()
    assert (estimated.granted, estimated.reserved) == (measured.granted, measured.reserved)
    planes = 2 * harness.model.layers  # K and V
    for known, counted in zip(estimated.slots_resident, measured.slots_resident, strict=True):
        assert abs(known - counted) <= 2 * PAGE_BYTES * planes
    assert estimated.resident == sum(estimated.slots_resident)


def test_a_shrink_says_for_whom_it_was(harness: Harness) -> None:
    harness.submit(1, LONG, limit=5)
    harness.run()
    harness.engine.submit(Shrink(9, ShrinkLevel.PREFIXES))
    harness.engine._take_work()
    lowered = [one for one in harness.grants if one.to_tokens < one.from_tokens]
    assert {one.cause for one in lowered} == {ShrinkCause.OTHER_MODELS}
    assert follows(harness.grants, len(harness.engine.slots)) == [0] * len(harness.engine.slots)
