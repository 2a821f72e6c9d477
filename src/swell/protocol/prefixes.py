"""What slots hold, as hashes of token blocks: enough to say how much of a prompt is there, without its tokens."""

import array
from collections.abc import Sequence

import msgspec

BLOCK_TOKENS = 32
"""Tokens of a block. What goes beyond the last whole block of a slot isn't known elsewhere: half a block on average."""

_HASH_BYTES = 8


class GetPrefixes(msgspec.Struct, frozen=True, tag=True):
    """Say what the slots hold. Answered by Prefixes."""

    id: int


class Prefixes(msgspec.Struct, frozen=True, tag=True):
    """What each slot holds: `tokens` so many, and the hashes of its whole blocks, one after the other in `hashes`.

    An embedding model keeps nothing, and has no slots here.
    """

    id: int
    tokens: list[int]
    hashes: list[bytes]


def block_hashes(tokens: Sequence[int], before: Sequence[int] = ()) -> list[int]:
    """A hash of each whole block of `tokens`, which stands for all tokens up to its end.

    `before` are the hashes of the first blocks, where they are known.
    """
    from hashlib import blake2b  # with OpenSSL, 3.9 MB that a runner outside of fleets doesn't take

    found = list(before)
    last = found[-1] if found else 0
    for start in range(len(found) * BLOCK_TOKENS, len(tokens) - BLOCK_TOKENS + 1, BLOCK_TOKENS):
        block = array.array("q", [last, *tokens[start : start + BLOCK_TOKENS]])
        last = int.from_bytes(blake2b(block.tobytes(), digest_size=_HASH_BYTES).digest(), "little", signed=True)
        found.append(last)
    return found


def pack_hashes(hashes: Sequence[int]) -> bytes:
    """Hashes as a message holds them."""
    return array.array("q", hashes).tobytes()


def unpack_hashes(packed: bytes) -> list[int]:
    """The hashes in a message."""
    return array.array("q", packed).tolist()
