import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import UnexpectedError
from swell.memory.ledger import Entry, Ledger

ENTRIES = 4
LIMIT_BYTES = 10_000
SCRIPT = """
import random, sys
from swell.memory.ledger import Ledger
descriptor, entry, rounds, limit_bytes = map(int, sys.argv[1:])
"""
# claims and releases at random; prints how many claims were refused and granted
WORKER = (
    SCRIPT
    + """
ledger, random, outcomes = Ledger.open(descriptor), random.Random(entry), [0, 0]
for _ in range(rounds):
    granted_bytes = ledger.entry(entry).granted_bytes
    if random.random() < 0.6:
        outcomes[ledger.claim(entry, random.randrange(1, limit_bytes // 2), limit_bytes)] += 1
    else:
        ledger.note_used(entry, 0)
        ledger.release(entry, random.randrange(granted_bytes + 1))
    ledger.note_used(entry, random.randrange(ledger.entry(entry).granted_bytes + 1))
print(*outcomes)
"""
)
# claims byte by byte as soon as it is told to, and prints how many it was granted
GREEDY = (
    SCRIPT
    + """
ledger = Ledger.open(descriptor)
print("ready", flush=True)
sys.stdin.readline()
print(sum(ledger.claim(entry, 1, limit_bytes) for _ in range(rounds)))
"""
)
# stops in the midst of a claim of 10 bytes: while it measures, or, with a round, once the claim is written down
FROZEN = (
    SCRIPT
    + """
import os, signal

def freeze():
    print("freezing", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    return limit_bytes

ledger = Ledger.open(descriptor)
if rounds:
    os.sched_yield = freeze
ledger.claim(entry, 10, None, None if rounds else freeze)
"""
)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with contextlib.closing(Ledger.create(ENTRIES)) as created:
        yield created


def start(script: str, ledger: Ledger, entry: int, rounds: int) -> subprocess.Popen[str]:
    arguments = map(str, (ledger.fileno(), entry, rounds, LIMIT_BYTES))
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        pass_fds=[ledger.fileno()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def outstanding_bytes(ledger: Ledger) -> int:
    """What is promised and not in use."""
    return -ledger.spare_bytes(lambda: 0)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


def test_new_books_are_empty(ledger: Ledger) -> None:
    assert [ledger.entry(entry) for entry in range(ENTRIES)] == [Entry(0, 0)] * ENTRIES
    assert (ledger.total_granted_bytes(), outstanding_bytes(ledger)) == (0, 0)
    ledger.check()


def test_a_claim_beyond_the_limit_changes_nothing(ledger: Ledger) -> None:
    assert ledger.claim(0, 60, limit_bytes=100)
    assert not ledger.claim(1, 41, limit_bytes=100)
    assert ledger.entry(1) == Entry(0, 0)
    assert ledger.claim(1, 40, limit_bytes=100)
    assert not ledger.claim(0, 1, limit_bytes=100)
    assert ledger.claim(0, 1, limit_bytes=None)
    assert ledger.total_granted_bytes() == 101


def test_nothing_is_granted_even_where_nothing_is_left(ledger: Ledger) -> None:
    assert ledger.claim(0, 0, -1, lambda: -1)


def test_outstanding_is_what_was_granted_and_not_written(ledger: Ledger) -> None:
    ledger.claim(0, 60, None)
    ledger.claim(1, 40, None)
    ledger.note_used(0, 25)
    assert outstanding_bytes(ledger) == 75
    ledger.note_used(1, 40)
    assert outstanding_bytes(ledger) == 35
    ledger.note_used(1, 10)
    assert outstanding_bytes(ledger) == 65


def test_what_is_mapped_is_not_left(ledger: Ledger) -> None:
    ledger.note_mapped(1, 60)
    assert ledger.spare_bytes(lambda: 100) == 40
    assert not ledger.claim(0, 41, None, lambda: 100)
    assert ledger.claim(0, 40, None, lambda: 100)
    ledger.note_mapped(1, 0)
    assert ledger.claim(0, 60, None, lambda: 100)
    assert ledger.entry(1) == Entry(0, 0)


class Neighbour:
    """A runner beside the one that claims, which is promised 60 of the 100 bytes there are for both."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.free = ledger, 100
        assert ledger.claim(1, 60, None, lambda: self.free)

    def write(self, amount: int) -> None:
        """As far as it is granted."""
        granted, used, *_ = self.ledger.entry(1)
        written = min(amount, granted - used)
        self.free -= written
        self.ledger.note_used(1, used + written)

    def give_back(self, amount: int) -> None:
        """But keep the grant."""
        self.ledger.note_used(1, self.ledger.entry(1).used_bytes - amount)
        self.free += amount


def writes_before(it: Neighbour) -> int:
    it.write(60)
    return it.free


def writes_after(it: Neighbour) -> int:
    free = it.free
    it.write(60)
    return free


def gives_back_before(it: Neighbour) -> int:
    it.write(60)
    it.give_back(50)
    return it.free


def gives_back_after(it: Neighbour) -> int:
    it.write(60)
    free = it.free
    it.give_back(50)
    return free


def gives_back_for_a_moment(it: Neighbour) -> int:
    it.write(60)
    it.give_back(50)
    free = it.free
    it.write(50)
    return free


MEANWHILE = [writes_before, writes_after, gives_back_before, gives_back_after, gives_back_for_a_moment]


@pytest.mark.parametrize("meanwhile", MEANWHILE)
@pytest.mark.parametrize("written", [False, True])
def test_what_others_do_while_free_memory_is_measured_is_not_promised_twice(
    ledger: Ledger, meanwhile: Callable[[Neighbour], int], written: bool
) -> None:
    neighbour = Neighbour(ledger)
    neighbour.write(60 if written else 0)
    assert not ledger.claim(0, 41, None, lambda: meanwhile(neighbour))
    assert ledger.total_granted_bytes() == 60
    assert ledger.claim(0, 40, None, lambda: neighbour.free)


def test_a_claim_made_while_free_memory_is_measured_counts(ledger: Ledger) -> None:
    def others_first() -> int:
        assert ledger.claim(1, 60, None, lambda: 100)
        return 100

    assert not ledger.claim(0, 41, None, others_first)
    assert ledger.total_granted_bytes() == 60


def test_what_was_never_granted_cannot_be_released(ledger: Ledger) -> None:
    ledger.claim(0, 60, None)
    with pytest.raises(ValueError, match="entry 0 can't release 61 bytes, it has 60"):
        ledger.release(0, 61)
    assert ledger.entry(0) == Entry(60, 0)
    ledger.release(0, 60)
    assert ledger.entry(0) == Entry(0, 0)


def test_a_dead_runner_gives_everything_back(ledger: Ledger) -> None:
    for entry in range(ENTRIES):
        ledger.claim(entry, 10, None)
        ledger.note_used(entry, 5)
        ledger.note_mapped(entry, 7)
    ledger.clear(2)
    assert [ledger.entry(entry) for entry in range(ENTRIES)] == [
        Entry(10, 5, 7),
        Entry(10, 5, 7),
        Entry(0, 0),
        Entry(10, 5, 7),
    ]
    assert ledger.spare_bytes(lambda: 100) == 100 - 3 * (5 + 7)


def test_books_that_do_not_add_up_are_found(ledger: Ledger) -> None:
    ledger.claim(1, 10, None)
    ledger.note_used(1, 11)
    with pytest.raises(UnexpectedError, match="ledger entry 1 is wrong: 10 bytes granted, 11 used"):
        ledger.check()
    ledger.clear(1)
    ledger.claim(3, 1 << 63, None)
    with pytest.raises(UnexpectedError, match="ledger entry 3 is wrong"):
        ledger.check()


def test_bad_arguments_change_nothing(ledger: Ledger) -> None:
    for entry in (-1, ENTRIES):
        with pytest.raises(IndexError):
            ledger.claim(entry, 1, None)
    for change in (lambda: ledger.claim(0, -1, None), lambda: ledger.release(0, -1), lambda: ledger.note_used(0, -1)):
        with pytest.raises(ValueError, match="-1 bytes are negative"):
            change()
    with pytest.raises(ValueError, match="invalid value"):
        ledger.claim(0, 1 << 64, None)
    assert ledger.claim(0, 1, None)
    assert ledger.total_granted_bytes() == 1


def test_other_files_are_refused() -> None:
    with pytest.raises(ValueError, match="a ledger of 0 entries"):
        Ledger.create(0)
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w"), pytest.raises(ValueError, match="is no ledger"):
        Ledger.open(reader)


def test_where_there_are_no_memory_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    with contextlib.closing(Ledger.create(2)) as ledger, contextlib.closing(reopened(ledger)) as other:
        assert ledger.claim(1, 7, None)
        assert other.entry(1) == Entry(7, 0)


def reopened(ledger: Ledger) -> Ledger:
    return Ledger.open(os.dup(ledger.fileno()))


def test_closing_leaves_the_books_to_others() -> None:
    ledger = Ledger.create(1)
    with contextlib.closing(reopened(ledger)) as other:
        ledger.claim(0, 7, None)
        ledger.close()
        ledger.close()
        assert other.entry(0) == Entry(7, 0)


operations = st.lists(
    st.tuples(st.sampled_from(["claim", "release", "note", "clear"]), st.integers(0, ENTRIES - 1), st.integers(0, 60)),
    max_size=60,
)


@given(operations, st.one_of(st.none(), st.integers(0, 200)))
def test_the_books_are_those_of_a_simple_model(steps: list[tuple[str, int, int]], limit_bytes: int | None) -> None:
    granted, used = [0] * ENTRIES, [0] * ENTRIES
    with contextlib.closing(Ledger.create(ENTRIES)) as ledger:
        for name, entry, amount in steps:
            if name == "claim":
                fits = limit_bytes is None or sum(granted) + amount <= limit_bytes
                assert ledger.claim(entry, amount, limit_bytes) == fits
                granted[entry] += amount if fits else 0
            elif name == "release":
                released = min(amount, granted[entry] - used[entry])
                ledger.release(entry, released)
                granted[entry] -= released
            elif name == "note":
                used[entry] = min(amount, granted[entry])
                ledger.note_used(entry, used[entry])
            else:
                ledger.clear(entry)
                granted[entry] = used[entry] = 0
            assert [ledger.entry(it) for it in range(ENTRIES)] == [*map(Entry, granted, used)]
            assert ledger.total_granted_bytes() == sum(granted)
            assert outstanding_bytes(ledger) == sum(granted) - sum(used)
            assert limit_bytes is None or sum(granted) <= limit_bytes
            ledger.check()


def test_processes_claim_and_release_at_the_same_time(ledger: Ledger) -> None:
    workers = [start(WORKER, ledger, entry, rounds=4000) for entry in range(ENTRIES)]
    for worker in workers:
        refused, granted = map(int, finish(worker).split())
        assert refused > 100
        assert granted > 100
    ledger.check()
    assert ledger.total_granted_bytes() <= LIMIT_BYTES


def test_processes_never_exceed_the_limit_together(ledger: Ledger) -> None:
    """They come to it at the same time."""
    for _ in range(5):
        workers = [start(GREEDY, ledger, entry, rounds=LIMIT_BYTES) for entry in range(ENTRIES)]
        for worker in workers:
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin
            worker.stdin.write("\n")
            worker.stdin.flush()
        granted = [int(finish(worker)) for worker in workers]
        assert [ledger.entry(entry).granted_bytes for entry in range(ENTRIES)] == granted
        assert 0 < sum(granted) <= LIMIT_BYTES
        for entry in range(ENTRIES):
            ledger.clear(entry)


@pytest.mark.destructive
@pytest.mark.parametrize(("where", "written_down"), [(0, 0), (1, 10)])
def test_one_that_is_frozen_in_the_midst_of_a_claim_keeps_nobody_waiting(
    ledger: Ledger, where: int, written_down: int
) -> None:
    with start(FROZEN, ledger, 3, where) as frozen:
        try:
            assert frozen.stdout
            assert frozen.stdout.readline() == "freezing\n"
            _, status = os.waitpid(frozen.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            finish(start(WORKER, ledger, 0, rounds=100))  # first in a process, so that it can't keep this one waiting
            assert ledger.total_granted_bytes() == ledger.entry(0).granted_bytes + written_down
            assert ledger.claim(1, 1, None, lambda: LIMIT_BYTES)
        finally:
            frozen.kill()
    ledger.clear(3)
    assert ledger.entry(3) == Entry(0, 0)


@pytest.mark.destructive
def test_workers_killed_at_any_moment_leave_sound_books(ledger: Ledger) -> None:
    for _ in range(5):
        workers = [start(WORKER, ledger, entry, rounds=10_000_000) for entry in range(1, ENTRIES)]
        while not all(ledger.entry(entry).granted_bytes for entry in range(1, ENTRIES)):
            assert all(worker.poll() is None for worker in workers)
        for entry, worker in enumerate(workers, start=1):
            worker.kill()
            worker.communicate()
            ledger.clear(entry)
        ledger.check()
        assert ledger.total_granted_bytes() == 0


def test_what_is_granted_on_devices_counts_where_there_is_a_limit_and_nowhere_else(ledger: Ledger) -> None:
    assert ledger.claim(0, 10, 100, lambda: 10, device_bytes=60)
    assert ledger.entry(0) == Entry(10, 0, 0, 60)
    assert ledger.spare_bytes(lambda: 10) == 0
    assert not ledger.claim(1, 31, 100)
    assert not ledger.claim(1, 0, 100, device_bytes=31)
    assert ledger.claim(1, 0, 100, lambda: -1, device_bytes=30)  # host memory isn't asked for what it need not hold
    assert ledger.total_granted_bytes() == 100
    ledger.check()
    with pytest.raises(ValueError, match="entry 1 can't release 31 bytes on devices, it has 30"):
        ledger.release(1, 0, device_bytes=31)
    ledger.release(1, 0, device_bytes=30)
    ledger.clear(0)
    assert [ledger.entry(entry) for entry in range(ENTRIES)] == [Entry(0, 0)] * ENTRIES
