"""How a batch is shared: whatever the numbers, it is filled, evenly, and nobody waits for long."""

from hypothesis import given
from hypothesis import strategies as st

from swell.runner.planning import plan

ROOM = st.integers(1, 300)


@given(wanted=st.lists(st.integers(0, 600), min_size=1, max_size=8), room=ROOM, data=st.data())
def test_a_batch_is_filled_and_shared_evenly(wanted: list[int], room: int, data: st.DataObject) -> None:
    counts, _ = plan(wanted, room, data.draw(st.integers(0, len(wanted) - 1)))
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
        counts, first = plan(wanted, room, first)
        for slot in running:
            waited[slot] = 0 if counts[slot] else waited[slot] + 1
            assert waited[slot] < -(-len(running) // room)


def test_what_is_generated_needs_not_wait_for_prompts() -> None:
    assert plan([1, 500, 1, 500], 256, 0).counts == [1, 127, 1, 127]
    assert plan([500, 0, 1, 20], 256, 2).counts == [235, 0, 1, 20]
