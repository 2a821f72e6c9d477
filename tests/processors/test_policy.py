"""How many threads: pure, so the whole range of numbers is drawn."""

from hypothesis import given
from hypothesis import strategies as st

from swell.processors.policy import CONTENDED, CONTENDED_S, IDLE_S, LOOK_S, Look, ThreadsLevel, adapt, after_rest

parts = st.floats(0, 1)
looks = st.builds(
    Look,
    elapsed_s=st.floats(LOOK_S, 60),
    threads=st.integers(1, 512),
    waits=st.lists(parts, max_size=64).map(tuple),
    idle=st.floats(0, 512),
)
levels = st.builds(ThreadsLevel, st.integers(1, 512), st.floats(0, 60), st.floats(0, 60))


def run(level: ThreadsLevel, look: Look, allowed: int, seconds: float) -> ThreadsLevel:
    for _ in range(round(seconds / look.elapsed_s)):
        level = adapt(level, look, allowed)
    return level


def two(waits: tuple[float, ...], idle: float, threads: int = 2) -> Look:
    return Look(elapsed_s=LOOK_S, threads=threads, waits=waits, idle=idle)


@given(levels, looks, st.integers(1, 512))
def test_a_level_is_always_possible(level: ThreadsLevel, look: Look, allowed: int) -> None:
    assert 1 <= adapt(level, look, allowed).threads <= allowed
    assert 1 <= after_rest(level, look.idle, allowed).threads <= allowed


@given(levels, looks, st.integers(1, 512))
def test_nothing_rises_while_a_thread_waits(level: ThreadsLevel, look: Look, allowed: int) -> None:
    if look.threads > 1 and max(look.waits, default=0) >= CONTENDED and level.contended_s >= CONTENDED_S:
        assert adapt(level, look, allowed).threads <= level.threads


@given(st.integers(2, 64), st.lists(st.floats(0, CONTENDED, exclude_max=True), max_size=64))
def test_short_waits_change_nothing(threads: int, waits: list[float]) -> None:
    look = two(tuple(waits), 0, threads)
    assert run(ThreadsLevel(threads), look, threads, 10).threads == threads


@given(st.integers(1, 64), st.floats(0, 0.74), st.integers(1, 64))
def test_too_little_idle_time_changes_nothing(threads: int, idle: float, allowed: int) -> None:
    level = ThreadsLevel(min(threads, allowed))
    assert run(level, two((), idle), allowed, 10).threads == level.threads


def test_a_neighbour_is_answered_within_a_second_and_one_that_leaves_within_three() -> None:
    beside_one = run(ThreadsLevel(2), two((0.45, 0.45), 0), 2, 0.6)
    assert beside_one.threads == 1
    assert run(beside_one, two((0.01,), 0.05, threads=1), 2, 60).threads == 1  # it stays while the neighbour does
    assert run(beside_one, two((0.0,), 0.95, threads=1), 2, 1.4).threads == 2


def test_a_short_disturbance_changes_nothing() -> None:
    level = adapt(ThreadsLevel(2), two((0.9, 0.9), 0), 2)
    assert adapt(level, two((0.0, 0.0), 0), 2) == ThreadsLevel(2)


def test_one_long_batch_is_enough() -> None:
    assert adapt(ThreadsLevel(2), Look(elapsed_s=1.3, threads=2, waits=(0.5, 0.5), idle=0), 2).threads == 1


def test_many_processors_are_given_up_and_taken_as_they_are() -> None:
    half = run(ThreadsLevel(32), two((0.5,) * 16 + (0.0,) * 16, 0, threads=32), 32, 0.4)
    assert half.threads == 24
    assert run(half, two((0.5,) * 8 + (0.0,) * 16, 0, threads=24), 32, 0.4).threads == 20
    assert run(ThreadsLevel(4), two((0.0,) * 4, 20.5, threads=4), 32, IDLE_S + LOOK_S).threads == 24


def test_one_thread_is_the_least() -> None:
    assert run(ThreadsLevel(1), two((0.9,), 0, threads=1), 2, 10).threads == 1


def test_an_unused_machine_is_taken_at_once_by_new_work() -> None:
    assert after_rest(ThreadsLevel(1), 1.9, 2).threads == 2
    assert after_rest(ThreadsLevel(2), 0.0, 2).threads == 2  # whoever was busy may not be any more
