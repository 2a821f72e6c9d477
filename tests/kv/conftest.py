"""What tests of the cache share."""

import contextlib
from collections.abc import Iterator

import pytest
from tests.kv.admitting import ENTRIES

from swell.memory.ledger import Ledger


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with contextlib.closing(Ledger.create(ENTRIES)) as created:
        yield created
