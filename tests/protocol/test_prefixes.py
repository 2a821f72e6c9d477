"""Prefixes as hashes of token blocks."""

from hypothesis import given
from hypothesis import strategies as st

from swell.protocol.prefixes import BLOCK_TOKENS, block_hashes, pack_hashes, unpack_hashes

tokens = st.lists(st.integers(0, 200_000), max_size=4 * BLOCK_TOKENS)


@given(tokens, tokens)
def test_a_longer_text_begins_with_the_hashes_of_a_shorter_one(first: list[int], more: list[int]) -> None:
    hashes = block_hashes(first)
    assert len(hashes) == len(first) // BLOCK_TOKENS
    assert block_hashes(first + more)[: len(hashes)] == hashes


@given(tokens, tokens)
def test_what_is_known_needs_no_hashing_again(first: list[int], more: list[int]) -> None:
    assert block_hashes(first + more, block_hashes(first)) == block_hashes(first + more)


@given(st.lists(st.integers(0, 200_000), min_size=2 * BLOCK_TOKENS, max_size=2 * BLOCK_TOKENS), st.data())
def test_a_token_changes_the_hashes_from_its_block_on(text: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 1))
    other = text.copy()
    other[place] += 1
    before, after = block_hashes(text), block_hashes(other)
    changed = place // BLOCK_TOKENS
    assert before[:changed] == after[:changed]
    assert all(one != two for one, two in zip(before[changed:], after[changed:], strict=True))


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_hashes_are_packed_and_unpacked(hashes: list[int]) -> None:
    assert unpack_hashes(pack_hashes(hashes)) == hashes
