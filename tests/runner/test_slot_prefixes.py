"""What slots are said to hold."""

from tests.runner.bare import bare_slot

from swell.protocol.prefixes import BLOCK_TOKENS, block_hashes, unpack_hashes
from swell.runner.slot_prefixes import SlotPrefixes


def test_whole_blocks_of_what_is_stored_are_told() -> None:
    text = list(range(3 * BLOCK_TOKENS + 5))
    slots = [bare_slot(0, text), bare_slot(1, [])]
    slots[0].tokens += [7] * BLOCK_TOKENS  # known, and not computed yet
    found = SlotPrefixes().read(9, slots)
    assert (found.id, found.tokens) == (9, [len(text), 0])
    assert [unpack_hashes(hashes) for hashes in found.hashes] == [block_hashes(text), []]


def test_what_has_changed_since_the_last_time_is_hashed_again() -> None:
    prefixes = SlotPrefixes()
    first, second = [1] * (4 * BLOCK_TOKENS), [1] * (2 * BLOCK_TOKENS) + [2] * (3 * BLOCK_TOKENS)
    for text in (first, second, first[:BLOCK_TOKENS], second):
        (hashes,) = prefixes.read(1, [bare_slot(0, text)]).hashes
        assert unpack_hashes(hashes) == block_hashes(text)
