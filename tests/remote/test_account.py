"""What a worker lends never exceeds its limit, whoever asks."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from swell.memory.ledger import Ledger
from swell.remote.account import SharedAccount

CLIENTS = 3


class Machine:
    """Memory of which so much is free, until it is taken."""

    def __init__(self, free_bytes: int) -> None:
        self.free = free_bytes

    def free_bytes(self) -> int:
        return self.free

    def total_bytes(self) -> int:
        return 1000


@given(
    st.lists(st.tuples(st.integers(0, CLIENTS - 1), st.integers(0, 400))),
    st.one_of(st.none(), st.integers(0, 1500)),
    st.integers(0, 1000),
)
def test_what_all_took_is_within_the_limit_and_what_is_there(
    claims: list[tuple[int, int]], limit: int | None, free: int
) -> None:
    ledger, machine = Ledger.create(CLIENTS), Machine(free)
    accounts = [SharedAccount(ledger, entry, machine, limit) for entry in range(CLIENTS)]
    taken: list[tuple[int, int]] = []
    for client, size in claims:
        room = accounts[client].free_bytes()
        if accounts[client].claim(size):
            machine.free -= size
            taken.append((client, size))
        else:
            assert size > room
        total = sum(size for _, size in taken)
        assert total <= min(free, free if limit is None else limit)
        assert accounts[0].free_bytes() == min(free, free if limit is None else limit) - total
        ledger.check()
    for client, size in taken:
        accounts[client].release(size)
    assert ledger.total_granted_bytes() == 0
    ledger.close()


@pytest.mark.parametrize(("limit", "total"), [(None, 1000), (300, 300), (2000, 1000)])
def test_no_more_is_offered_than_there_is(limit: int | None, total: int) -> None:
    ledger = Ledger.create(1)
    assert SharedAccount(ledger, 0, Machine(500), limit).total_bytes() == total
    ledger.close()
