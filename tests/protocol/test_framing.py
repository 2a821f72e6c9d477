import asyncio
import math
import struct

import pytest

from swell.errors import ProtocolError
from swell.protocol.framing import MAX_FRAME_BYTES, encode, replies, requests
from swell.protocol.messages import (
    Cancel,
    Embed,
    Embedded,
    Emitted,
    Failed,
    Finished,
    FinishReason,
    Generate,
    GetStats,
    Load,
    Prefilled,
    Reply,
    Request,
    StepOutput,
    Tokenize,
    Tokenized,
)
from swell.sampling import Sampling

REQUESTS: list[Request] = [
    Load(path="/m.gguf", log_level=20, ledger_fd=5, devices_fd=4, demands_fd=6, ledger_entry=0, idle_shrink_s=math.inf),
    Generate(id=1, prompt=[1, 2, 3], window_tokens=8, limit_tokens=4, sampling=Sampling(seed=2**63 - 1)),
    Cancel(1),
    Embed(4, [[1, 2], [3]]),
    Tokenize(id=2, text="a\0b", add_special=True, parse_special=False),
    GetStats(3),
]
REPLIES: list[Reply] = [
    StepOutput(
        prefilled=[Prefilled(1, 3, 2, 10**9)],
        emitted=[Emitted(1, 42, b"\xff")],
        finished=[Finished(1, FinishReason.LENGTH, 5)],
        failed=[Failed(2, "DecodeError", {"code": -3})],
    ),
    Tokenized(2, []),
    Embedded(4, [b"\0\0\x80?"]),
]


def stream_of(*pieces: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    for piece in pieces:
        reader.feed_data(piece)
    reader.feed_eof()
    return reader


def received_requests(data: bytes) -> list[Request]:
    async def receive() -> list[Request]:
        return [request async for request in requests(stream_of(data))]

    return asyncio.run(receive())


def received_replies(*pieces: bytes) -> list[Reply]:
    """What comes of pieces that are read one by one."""

    async def receive() -> list[Reply]:
        reader = asyncio.StreamReader()
        found: list[Reply] = []

        async def read() -> None:
            async for together in replies(reader):
                found.extend(together)

        task = asyncio.create_task(read())
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        reader.feed_eof()
        await task
        return found

    return asyncio.run(receive())


def test_messages_arrive_as_they_were_sent() -> None:
    assert received_requests(b"".join(encode(request) for request in REQUESTS)) == REQUESTS
    assert received_replies(b"".join(encode(reply) for reply in REPLIES)) == REPLIES


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_where_a_stream_is_cut_makes_no_difference(size: int) -> None:
    data = b"".join(encode(reply) for reply in REPLIES * 3)
    assert received_replies(*(data[start : start + size] for start in range(0, len(data), size))) == REPLIES * 3


def test_a_connection_that_ends_inside_a_frame_has_ended() -> None:
    whole = encode(REQUESTS[1])
    for length in range(len(whole)):
        assert received_requests(whole[:length]) == []


@pytest.mark.parametrize(
    "data", [struct.pack("<I", MAX_FRAME_BYTES + 1), struct.pack("<I", 3) + b"\xc1\xc1\xc1", encode(REPLIES[1])]
)
def test_anything_else_breaks_the_protocol(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        received_requests(data)
