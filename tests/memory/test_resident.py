import mmap

import pytest
from tests.mappings import address_of

from swell.memory.resident import process_resident, resident_bytes

PAGES = 1000


@pytest.mark.parametrize("written", [0, 1, 7, PAGES])
def test_counts_just_the_pages_that_were_written(written: int) -> None:
    with mmap.mmap(-1, PAGES * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapping:
        mapping.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(written):
            mapping[page * mmap.PAGESIZE] = 1
        assert resident_bytes(address_of(mapping), len(mapping)) == written * mmap.PAGESIZE
        mapping.madvise(mmap.MADV_DONTNEED)
        assert resident_bytes(address_of(mapping), len(mapping)) == 0


def test_the_process_holds_what_it_wrote() -> None:
    before = process_resident().total_bytes
    with mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:  # never memory that was freed
        for page in range(0, len(block), mmap.PAGESIZE):
            block[page] = 1
        assert process_resident().total_bytes - before > 60 << 20


def test_pages_that_were_only_read_cost_nothing() -> None:
    with mmap.mmap(-1, PAGES * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as mapping:
        mapping.madvise(mmap.MADV_NOHUGEPAGE)
        assert not any(mapping[:])
        assert resident_bytes(address_of(mapping), len(mapping)) == 0
