"""Making tokens of texts, and vectors of tokens."""

import array
import sys
from collections.abc import Sequence

import msgspec


class Tokenize(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Make tokens of `text`. Answered by Tokenized or Failed.

    `add_special` adds BOS and EOS where the vocabulary wants them; `parse_special` makes one token of "<|im_end|>".
    With `limit_tokens`, the middle of a text that has more tokens may be left out: the answer then still has more
    tokens than that, and at least so many of either end.
    """

    id: int
    text: str
    add_special: bool
    parse_special: bool
    limit_tokens: int | None = None


class Tokenized(msgspec.Struct, frozen=True, tag=True):
    """The tokens of request `id`."""

    id: int
    tokens: list[int]


class Embed(msgspec.Struct, frozen=True, tag=True):
    """Turn each of `inputs`, the tokens of a text, into a vector. Answered by Embedded or Failed.

    `cut_tokens` were left out of the texts before and are only counted. `threads` compute them; with None the runner
    chooses.
    """

    id: int
    inputs: list[list[int]]
    cut_tokens: int = 0
    threads: int | None = None


class Embedded(msgspec.Struct, frozen=True, tag=True):
    """The vectors of request `id`, in the order of its inputs: float32, little endian, as the model gives them."""

    id: int
    vectors: list[bytes]


def pack_vector(numbers: Sequence[float]) -> bytes:
    """A vector as Embedded holds it."""
    packed = array.array("f", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_vector(vector: bytes) -> list[float]:
    """The numbers of a vector in Embedded."""
    numbers = array.array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()
