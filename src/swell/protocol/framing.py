"""Frames: a four-byte little-endian length, then one msgpack message."""

import asyncio
import struct
from typing import TypeVar

import msgspec

from swell.errors import ProtocolError
from swell.protocol.messages import Reply, Request

T = TypeVar("T")

_LENGTH = struct.Struct("<I")
MAX_FRAME_BYTES = 256 << 20
"""Far above any real message (a million-token prompt is 5 MB); a larger one means the stream is out of step."""

_encoder = msgspec.msgpack.Encoder()
_request_decoder = msgspec.msgpack.Decoder(Request)
_reply_decoder = msgspec.msgpack.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """`message` as one frame."""
    buffer = bytearray(_LENGTH.size)
    _encoder.encode_into(message, buffer, _LENGTH.size)
    _LENGTH.pack_into(buffer, 0, len(buffer) - _LENGTH.size)
    return bytes(buffer)


async def read_request(stream: asyncio.StreamReader) -> Request | None:
    """The next request, or None when the server closed the connection."""
    payload = await _read_payload(stream)
    return None if payload is None else _decode(_request_decoder, payload)


async def read_reply(stream: asyncio.StreamReader) -> Reply | None:
    """The next reply, or None when the runner is gone."""
    payload = await _read_payload(stream)
    return None if payload is None else _decode(_reply_decoder, payload)


async def _read_payload(stream: asyncio.StreamReader) -> bytes | None:
    """The bytes of one frame, or None at the end of the stream, also when it ends inside a frame."""
    try:
        (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
        if length > MAX_FRAME_BYTES:
            raise ProtocolError(f"a frame of {length} bytes")
        return await stream.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _decode(decoder: msgspec.msgpack.Decoder[T], payload: bytes) -> T:
    try:
        return decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise ProtocolError(str(error)) from error
