"""How blobs are cut, and what is believed of files that say so."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from swell.registry.messages import TransferLimits
from swell.registry.parts import BlobPart, are_parts_of, completed_bytes, leading_bytes, part_bytes, plan_parts

LIMITS = TransferLimits()
MB, GB = 10**6, 10**9


def test_parts_have_ollamas_sizes() -> None:
    sizes = {size: (part_bytes(size, LIMITS), len(plan_parts(size, LIMITS))) for size in (1, 99 * MB, 2 * GB, 40 * GB)}
    assert sizes == {
        1: (100 * MB, 1),
        99 * MB: (100 * MB, 1),
        2 * GB: (125 * MB, 16),
        40 * GB: (GB, 40),
    }
    assert plan_parts(0, LIMITS) == []


def test_a_part_as_a_file_is_ollamas() -> None:
    text = msgspec.json.encode(BlobPart(3, 300, 100, 7))
    assert text == b'{"N":3,"Offset":300,"Size":100,"Completed":7}'
    assert msgspec.json.decode(text + b"   \n", type=BlobPart) == BlobPart(3, 300, 100, 7)


@given(size=st.integers(0, 10**6), least=st.integers(1, 10**6), most=st.integers(1, 10**6), count=st.integers(1, 64))
def test_parts_are_the_whole_blob(size: int, least: int, most: int, count: int) -> None:
    limits = TransferLimits(part_min_bytes=max(least, size // 1000), part_max_bytes=most, parts=count)
    parts = plan_parts(size, limits)
    assert are_parts_of(size, parts)
    assert completed_bytes(parts) == leading_bytes(parts) == 0
    for part in parts:
        part.completed = part.size
    assert are_parts_of(size, parts)
    assert completed_bytes(parts) == leading_bytes(parts) == size


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=6))
def test_only_what_has_no_gap_before_it_leads(sizes: list[tuple[int, int]]) -> None:
    whole = bytearray()
    parts = []
    for number, (size, completed) in enumerate(sizes):
        completed = min(size, completed)
        parts.append(BlobPart(number, len(whole), size, completed))
        whole += b"x" * completed + b"-" * (size - completed)
    assert leading_bytes(parts) == len(whole.split(b"-")[0])
    assert completed_bytes(parts) == whole.count(b"x")


NUMBERS = st.integers(-3, 12)


@given(st.integers(0, 20), st.lists(st.builds(BlobPart, NUMBERS, NUMBERS, NUMBERS, NUMBERS), max_size=4))
def test_only_a_whole_is_believed(size: int, parts: list[BlobPart]) -> None:
    covered = [at for part in parts for at in range(part.offset, part.offset + part.size)]
    is_whole = (
        covered == list(range(size))
        and [part.number for part in parts] == list(range(len(parts)))
        and all(0 <= part.completed <= part.size and part.size > 0 for part in parts)
    )
    assert are_parts_of(size, parts) == is_whole
