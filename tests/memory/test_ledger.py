import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import UnexpectedError
from swell.memory.ledger import Ledger

ENTRIES = 4
LIMIT_BYTES = 10_000
SCRIPT = """
import random, sys
from swell.memory.ledger import Ledger
descriptor, entry, rounds, limit_bytes = map(int, sys.argv[1:])
"""
# claims and releases at random and looks at the books after every claim; prints how many were granted and refused
WORKER = (
    SCRIPT
    + """
ledger, random, outcomes = Ledger.open(descriptor), random.Random(entry), [0, 0]
for _ in range(rounds):
    granted_bytes = ledger.entry(entry).granted_bytes
    if random.random() < 0.6:
        granted = ledger.claim(entry, random.randrange(limit_bytes // 2), limit_bytes)
        outcomes[granted] += 1
        assert ledger.total_granted_bytes() <= limit_bytes
    else:
        ledger.note_used(entry, 0)
        ledger.release(entry, random.randrange(granted_bytes + 1))
    ledger.note_used(entry, random.randrange(ledger.entry(entry).granted_bytes + 1))
    ledger.check()
print(*outcomes)
"""
)
ADDER = (
    SCRIPT
    + """
ledger = Ledger.open(descriptor)
for _ in range(rounds):
    assert ledger.claim(entry, 1, None)
"""
)
HOLDER = (
    SCRIPT
    + """
import time
ledger = Ledger.open(descriptor)
with ledger._exclusive():
    print("holding", flush=True)
    time.sleep(60)
"""
)
FORKER = (
    SCRIPT
    + """
import os, signal, threading
ledger, held, forked = Ledger.open(descriptor), threading.Event(), threading.Event()

def hold():
    with ledger._exclusive():
        held.set()
        forked.wait()

threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(not ledger.claim(entry, 1, None))
forked.set()
sys.exit(os.waitpid(child, 0)[1])
"""
)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with contextlib.closing(Ledger.create(ENTRIES)) as created:
        yield created


def start(script: str, ledger: Ledger, entry: int, rounds: int) -> subprocess.Popen[str]:
    arguments = map(str, (ledger.fileno(), entry, rounds, LIMIT_BYTES))
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], pass_fds=[ledger.fileno()], stdout=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


def test_new_books_are_empty(ledger: Ledger) -> None:
    assert [ledger.entry(entry) for entry in range(ENTRIES)] == [(0, 0)] * ENTRIES
    assert (ledger.total_granted_bytes(), ledger.outstanding_bytes()) == (0, 0)
    ledger.check()


def test_a_claim_beyond_the_limit_changes_nothing(ledger: Ledger) -> None:
    assert ledger.claim(0, 60, limit_bytes=100)
    assert not ledger.claim(1, 41, limit_bytes=100)
    assert ledger.entry(1) == (0, 0)
    assert ledger.claim(1, 40, limit_bytes=100)
    assert not ledger.claim(0, 1, limit_bytes=100)
    assert ledger.claim(0, 1, limit_bytes=None)
    assert ledger.total_granted_bytes() == 101


def test_outstanding_is_what_was_granted_and_not_written(ledger: Ledger) -> None:
    ledger.claim(0, 60, None)
    ledger.claim(1, 40, None)
    ledger.note_used(0, 25)
    assert ledger.outstanding_bytes() == 75
    ledger.note_used(1, 50)
    assert ledger.outstanding_bytes() == 35


def test_what_was_never_granted_cannot_be_released(ledger: Ledger) -> None:
    ledger.claim(0, 60, None)
    with pytest.raises(ValueError, match="entry 0 can't release 61 bytes, it has 60"):
        ledger.release(0, 61)
    assert ledger.entry(0) == (60, 0)
    ledger.release(0, 60)
    assert ledger.entry(0) == (0, 0)


def test_a_dead_runner_gives_everything_back(ledger: Ledger) -> None:
    for entry in range(ENTRIES):
        ledger.claim(entry, 10, None)
        ledger.note_used(entry, 5)
    ledger.clear(2)
    assert [tuple(ledger.entry(entry)) for entry in range(ENTRIES)] == [(10, 5), (10, 5), (0, 0), (10, 5)]


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
    assert ledger.claim(0, 1, None), "the lock was left behind"
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
        assert other.entry(1) == (7, 0)


def reopened(ledger: Ledger) -> Ledger:
    return Ledger.open(os.dup(ledger.fileno()))


def test_closing_leaves_the_books_to_others() -> None:
    ledger = Ledger.create(1)
    with contextlib.closing(reopened(ledger)) as other:
        ledger.claim(0, 7, None)
        ledger.close()
        ledger.close()
        assert other.entry(0) == (7, 0)


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
            assert [ledger.entry(it) for it in range(ENTRIES)] == list(zip(granted, used, strict=True))
            assert ledger.total_granted_bytes() == sum(granted)
            assert ledger.outstanding_bytes() == sum(granted) - sum(used)
            assert limit_bytes is None or sum(granted) <= limit_bytes
            ledger.check()


def test_processes_never_exceed_the_limit_together(ledger: Ledger) -> None:
    workers = [start(WORKER, ledger, entry, rounds=4000) for entry in range(ENTRIES)]
    for worker in workers:
        refused, granted = map(int, finish(worker).split())
        assert refused > 100
        assert granted > 100
    ledger.check()


def test_processes_lose_no_claim_on_one_entry(ledger: Ledger) -> None:
    workers = [start(ADDER, ledger, entry=0, rounds=5000) for _ in range(3)]
    for worker in workers:
        finish(worker)
    assert ledger.entry(0) == (15_000, 0)


def test_threads_exclude_each_other_even_through_two_ledgers(ledger: Ledger) -> None:
    other = reopened(ledger)
    threads = [threading.Thread(target=ledger.claim, args=(0, 1, None)), threading.Thread(target=other.close)]
    with ledger._exclusive():
        for thread in threads:
            thread.start()
            thread.join(0.2)
            assert thread.is_alive()
    for thread in threads:
        thread.join()
    assert ledger.entry(0) == (1, 0)


def test_a_child_forked_while_a_thread_holds_the_lock_can_claim(ledger: Ledger) -> None:
    finish(start(FORKER, ledger, entry=0, rounds=0))
    assert ledger.entry(0) == (1, 0)


@pytest.mark.destructive
def test_a_holder_that_is_killed_blocks_nobody(ledger: Ledger) -> None:
    with start(HOLDER, ledger, entry=0, rounds=0) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "holding\n"
        with pytest.raises(BlockingIOError):
            fcntl.lockf(ledger.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        with start(ADDER, ledger, entry=1, rounds=1) as waiting:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(0.5)
            holder.send_signal(signal.SIGKILL)
            finish(waiting)
    assert ledger.entry(1) == (1, 0)


@pytest.mark.destructive
def test_workers_killed_at_any_moment_leave_sound_books(ledger: Ledger) -> None:
    for _ in range(5):
        workers = [start(WORKER, ledger, entry, rounds=10_000_000) for entry in range(1, ENTRIES)]
        while not all(ledger.entry(entry).granted_bytes for entry in range(1, ENTRIES)):
            assert all(worker.poll() is None for worker in workers)
        for entry, worker in enumerate(workers, start=1):
            worker.kill()
            worker.communicate()
            ledger.check()
            ledger.clear(entry)
        assert ledger.total_granted_bytes() == 0
