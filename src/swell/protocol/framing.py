"""Frames: a four-byte little-endian length, then one msgpack message."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

import msgspec

from swell.errors import ProtocolError
from swell.protocol.messages import Reply, Request

T = TypeVar("T")

_LENGTH = struct.Struct("<I")
_READ_BYTES = 1 << 16
MAX_FRAME_BYTES = 256 << 20
"""Far above any real message (a million-token prompt is 5 MB); a larger one means the stream is out of step."""

_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(Request)
_reply_decoder = msgspec.msgpack.Decoder(Reply)


def encode(message: msgspec.Struct) -> bytes:
    """`message` as one frame."""
    buffer = bytearray(_LENGTH.size)
    _encoder.encode_into(message, buffer, _LENGTH.size)
    _LENGTH.pack_into(buffer, 0, len(buffer) - _LENGTH.size)
    return bytes(buffer)


async def requests(stream: asyncio.StreamReader) -> AsyncIterator[Request]:
    """Requests as they come, until the server is gone. Raises ProtocolError."""
    async for request in messages(stream, _request_decoder):
        yield request


async def messages(stream: asyncio.StreamReader, decoder: msgspec.msgpack.Decoder[T]) -> AsyncIterator[T]:
    """Messages of any kind as they come, until who sends them is gone. Raises ProtocolError."""
    frames = _Frames(decoder)
    async for data in _pieces(stream):
        for message in frames.feed(data):
            yield message


async def read_message(stream: asyncio.StreamReader, decoder: msgspec.msgpack.Decoder[T], most_bytes: int) -> T:
    """One message, and nothing of what follows it. Raises ProtocolError, EOFError or ConnectionError."""
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    if length > most_bytes:
        raise ProtocolError(f"a frame of {length} bytes")
    try:
        return decoder.decode(await stream.readexactly(length))
    except msgspec.MsgspecError as error:
        raise ProtocolError(str(error)) from error


async def replies(stream: asyncio.StreamReader) -> AsyncIterator[Iterator[Reply]]:
    """Replies, all at once that came together, until the runner is gone. Raises ProtocolError, the iterators too."""
    frames = _Frames(_reply_decoder)
    async for data in _pieces(stream):
        yield frames.feed(data)


async def _pieces(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    try:
        while data := await stream.read(_READ_BYTES):
            yield data
    except ConnectionError:
        return


class _Frames(Generic[T]):
    """Takes a stream in pieces of any size; what is incomplete at its end is nobody's message."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[T]) -> None:
        self._decoder = decoder
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[T]:
        """The messages that `data` completes; the iterator must be used up before the next call."""
        self._data += data
        start, available = 0, len(self._data)
        while available - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._data, start)
            if length > MAX_FRAME_BYTES:
                raise ProtocolError(f"a frame of {length} bytes")
            end = start + _LENGTH.size + length
            if end > available:
                break
            yield self._decode(start + _LENGTH.size, end)
            start = end
        del self._data[:start]

    def _decode(self, start: int, end: int) -> T:
        try:
            with memoryview(self._data)[start:end] as payload:
                return self._decoder.decode(payload)
        except msgspec.MsgspecError as error:
            raise ProtocolError(str(error)) from error
