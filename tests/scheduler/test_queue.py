"""The line of waiting requests: only the first acts, nobody is overtaken, and who leaves leaves nothing."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import ServerBusyError
from swell.scheduler.queue import QueuedRequest, RequestQueue
from swell.scheduler.runner_key import RunnerKey

KEY = RunnerKey("a")


def test_the_first_in_line_does_not_count_as_waiting() -> None:
    queue = RequestQueue(0)
    queue.admit(0, acts_at_once=True)
    with pytest.raises(ServerBusyError):
        queue.admit(0, acts_at_once=False)
    with queue.join(), pytest.raises(ServerBusyError):
        queue.admit(0, acts_at_once=True)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_so_many_may_wait(waiting_max: int, joined: int, in_line: int) -> None:
    queue = RequestQueue(waiting_max)
    with contextlib.ExitStack() as stack:
        for _ in range(in_line):
            stack.enter_context(queue.join())
        waiting = joined + max(0, in_line - 1)
        expected = contextlib.nullcontext() if waiting < waiting_max else pytest.raises(ServerBusyError)
        with expected:
            queue.admit(joined, acts_at_once=False)


@given(st.lists(st.integers(0, 9), max_size=40))
def test_places_keep_their_order_whoever_leaves(events: list[int]) -> None:
    """An even number joins, an odd one has somebody leave. The first is always whoever came first of those left."""
    queue, line = RequestQueue(9), list[tuple[QueuedRequest, contextlib.ExitStack]]()
    for event in events:
        if event % 2 == 0 or not line:
            stack = contextlib.ExitStack()
            line.append((stack.enter_context(queue.join()), stack))
        else:
            place, stack = line.pop(event % len(line))
            was_first = place.is_first
            if was_first:
                place.close(KEY)
            stack.close()
            if was_first:
                assert queue.closed is None
        assert len(queue) == len(line)
        assert queue.first is (line[0][0] if line else None)
        assert [place.is_first for place, _ in line] == [True, *[False] * (len(line) - 1)][: len(line)]
    for _, stack in line:
        stack.close()
    assert (len(queue), queue.closed, queue.first) == (0, None, None)


def test_only_the_first_may_close_a_runner_to_newcomers() -> None:
    queue = RequestQueue(9)
    with queue.join() as first:
        first.close(KEY)
        with queue.join() as second, pytest.raises(AssertionError, match="only the first"):
            second.close(None)
        assert queue.closed == KEY  # the second has left; what the first decided stands
    assert queue.closed is None


def test_everybody_is_woken_by_a_change_and_by_who_leaves() -> None:
    async def live() -> list[str]:
        queue, woken = RequestQueue(9), list[str]()

        async def wait(name: str) -> None:
            with queue.join() as place:
                await place.change()
                woken.append(name)

        with queue.join():
            waiters = [asyncio.create_task(wait(name)) for name in "ab"]
            await asyncio.sleep(0)
        await asyncio.wait(waiters)
        seen = queue.changed
        queue.notify()
        assert seen.is_set()  # nothing is missed between a look and the wait
        return woken

    assert asyncio.run(live()) == ["a", "b"]
