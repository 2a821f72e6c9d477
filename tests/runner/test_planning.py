"""How a batch is shared: whatever the numbers, it is filled, evenly, and nobody waits for long."""

from hypothesis import given
from hypothesis import strategies as st
from tests.runner.bare import bare_request

from swell.kv.cells import SlotCells
from swell.runner.planning import divide, plan
from swell.runner.slots import MemoryWait, Shortage, Slot

ROOM = st.integers(1, 300)


@given(wanted=st.lists(st.integers(0, 600), min_size=1, max_size=8), room=ROOM, data=st.data())
def test_a_batch_is_filled_and_shared_evenly(wanted: list[int], room: int, data: st.DataObject) -> None:
    counts, _ = divide(wanted, room, data.draw(st.integers(0, len(wanted) - 1)))
    assert sum(counts) == min(room, sum(wanted))
    for count, most in zip(counts, wanted, strict=True):
        assert 0 <= count <= most
        assert count == most or count >= max(counts) - 1


@given(slots=st.integers(1, 12), room=st.integers(1, 12), data=st.data())
def test_nobody_waits_longer_than_for_a_turn_of_all(slots: int, room: int, data: st.DataObject) -> None:
    running = sorted(data.draw(st.sets(st.integers(0, slots - 1), min_size=1)))
    waited, first = dict.fromkeys(running, 0), data.draw(st.integers(0, slots - 1))
    for _ in range(3 * slots):
        wanted = [data.draw(st.sampled_from((1, 2, 500))) if slot in waited else 0 for slot in range(slots)]
        counts, first = divide(wanted, room, first)
        for slot in running:
            waited[slot] = 0 if counts[slot] else waited[slot] + 1
            assert waited[slot] < -(-len(running) // room)


def test_what_is_generated_needs_not_wait_for_prompts() -> None:
    assert divide([1, 500, 1, 500], 256, 0) == ([1, 127, 1, 127], 0)
    assert divide([500, 0, 1, 20], 256, 2) == ([235, 0, 1, 20], 2)


@st.composite
def some_slots(draw: st.DrawFn) -> list[Slot]:
    """Idle, reading, generating, read again one by one, waiting for memory: of each some or none."""
    slots = []
    for index in range(draw(st.integers(1, 6))):
        known = draw(st.integers(1, 400))
        stored = draw(st.integers(0, known - 1))
        slot = Slot(index, SlotCells(stored=stored), list(range(known)))
        if draw(st.booleans()):
            read_tokens, batch_tokens = draw(st.integers(1, known)), draw(st.sampled_from((5, 256)))
            slot.request = bare_request(index, read_tokens=read_tokens, batch_tokens=batch_tokens)
            if draw(st.booleans()):
                slot.request.shortage = Shortage(known, 0, MemoryWait.OTHERS)
        slots.append(slot)
    return slots


@given(slots=some_slots(), budget=ROOM)
def test_a_plan_says_all_of_the_batch(slots: list[Slot], budget: int) -> None:
    """Its parts lie one after the other, and have logits where a slot catches up with what is known."""
    parts, _ = plan(slots, budget, 0)
    assert sum(part.size for part in parts) <= budget
    assert bool(parts) == any(slot.wanted for slot in slots)
    size = 0
    for part in parts:
        size += part.size
        assert part.request is part.slot.request
        assert part.request.shortage is None
        assert part.start == part.slot.stored
        assert 0 < part.size <= part.request.batch_tokens
        catches_up = part.start + part.size == len(part.slot.tokens)
        assert part.logits_index == (size - 1 if catches_up else None)
        reads_alone = part.start >= part.request.read_tokens
        assert part.size == 1 or not reads_alone
        assert part.start + part.size <= max(part.request.read_tokens, part.start + 1)
