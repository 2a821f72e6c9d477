"""Bodies that clients compress. A small one may become any size: it is unpacked in pieces; others go on meanwhile."""

import asyncio
import zlib
from collections.abc import AsyncIterator

from swell.errors import InvalidRequestError, UnsupportedEncodingError

_PACKED = ("gzip", "x-gzip", "deflate")
_UNKNOWN = ("br", "zstd", "compress")
"""What else means that bytes aren't what they stand for. Any other name does not: some clients write "utf-8"."""
_EITHER_FORMAT = zlib.MAX_WBITS | 32
_PIECE_BYTES = 1 << 18


def unpacked(pieces: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """The bytes that `pieces` stand for by the header Content-Encoding.

    Raises UnsupportedEncodingError; the iterator raises InvalidRequestError for bytes that are something else.
    """
    names = [name for name in encoding.lower().replace(" ", "").split(",") if name in (*_PACKED, *_UNKNOWN)]
    if not names:
        return pieces
    if len(names) > 1 or names[0] in _UNKNOWN:
        raise UnsupportedEncodingError(", ".join(names))
    return _inflated(pieces, names[0])


async def _inflated(pieces: AsyncIterator[bytes], name: str) -> AsyncIterator[bytes]:
    inflater = zlib.decompressobj(_EITHER_FORMAT)
    try:
        async for piece in pieces:
            rest = piece
            while rest and not inflater.eof:
                yield inflater.decompress(rest, _PIECE_BYTES)
                rest = inflater.unconsumed_tail
                await asyncio.sleep(0)
    except zlib.error as error:
        raise InvalidRequestError(f"the body isn't {name}, as its headers say: {error}") from error
    if not inflater.eof:
        raise InvalidRequestError(f"the body is {name} that breaks off")
