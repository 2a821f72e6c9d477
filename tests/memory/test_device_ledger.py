"""The books of what runners have taken on devices."""

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import UnexpectedError
from swell.memory.device_ledger import DEVICES_MAX, DeviceLedger

ENTRIES = 4
LIMIT_BYTES = 1_000
# claims byte by byte as soon as it is told to, and prints how many it was granted
GREEDY = """
import sys
from swell.memory.device_ledger import DeviceLedger
account = DeviceLedger.open(int(sys.argv[1])).account("a", int(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
print(sum(account.claim(1) for _ in range(3000)))
"""

claims = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, ENTRIES - 1), st.integers(-400, 400), st.booleans()), max_size=40
)


@pytest.fixture
def ledger() -> Iterator[DeviceLedger]:
    with contextlib.closing(DeviceLedger.create(ENTRIES)) as created:
        yield created


@given(claims)
def test_what_all_take_together_never_exceeds_the_limit(steps: list[tuple[str, int, int, bool]]) -> None:
    """Each step claims, gives back as much as there is of what it says, or is the end of a runner."""
    ledger, expected = DeviceLedger.create(ENTRIES), Counter[tuple[str, int]]()
    ledger.open_page("a", LIMIT_BYTES)
    ledger.open_page("b", None)
    for name, entry, size, ends in steps:
        account = ledger.account(name, entry)
        if ends:
            ledger.clear(entry)
            expected["a", entry] = expected["b", entry] = 0
        elif size < 0:
            released = min(-size, expected[name, entry])
            account.release(released)
            expected[name, entry] -= released
        else:
            total = sum(amount for (of, _), amount in expected.items() if of == name)
            is_room = name == "b" or total + size <= LIMIT_BYTES
            assert account.claim(size) is is_room
            expected[name, entry] += size if is_room else 0
        assert account.taken_bytes == expected[name, entry]
        taken = ledger.all_taken_bytes("a")
        assert taken == sum(amount for (of, _), amount in expected.items() if of == "a") <= LIMIT_BYTES


def test_processes_that_claim_at_the_same_time_get_no_more_together(ledger: DeviceLedger) -> None:
    ledger.open_page("a", LIMIT_BYTES)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", GREEDY, str(ledger.fileno()), str(entry)],
            pass_fds=[ledger.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for entry in range(ENTRIES)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    granted = [int(process.communicate("go\n", timeout=60)[0]) for process in processes]
    assert sum(granted) == ledger.all_taken_bytes("a") == LIMIT_BYTES


def test_a_page_keeps_what_was_taken_when_its_limit_changes(ledger: DeviceLedger) -> None:
    ledger.open_page("a", 100)
    assert ledger.account("a", 1).claim(80)
    ledger.open_page("a", 50)
    assert (ledger.account("a", 1).taken_bytes, ledger.account("a", 0).limit_bytes) == (80, 50)
    assert not ledger.account("a", 0).claim(1)


def test_a_device_without_a_page_is_an_error(ledger: DeviceLedger) -> None:
    assert ledger.all_taken_bytes("a") == 0
    with pytest.raises(UnexpectedError):
        ledger.account("a", 0)
    with pytest.raises(UnexpectedError):
        ledger.open_page("a" * 400, None)
    for number in range(DEVICES_MAX):
        ledger.open_page(f"device {number}", number)
    assert ledger.account(f"device {DEVICES_MAX - 1}", 0).limit_bytes == DEVICES_MAX - 1
    with pytest.raises(UnexpectedError):
        ledger.open_page("one more", None)
