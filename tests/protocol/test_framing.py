import asyncio
import math
import struct

import pytest

from swell.errors import ProtocolError
from swell.protocol.framing import MAX_FRAME_BYTES, encode, read_reply, read_request
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
    Step,
    Tokenize,
    Tokenized,
)
from swell.sampling import Sampling

REQUESTS: list[Request] = [
    Load(path="/m.gguf", log_level=20, threads=2, ledger_fd=5, ledger_entry=0, idle_shrink_s=math.inf),
    Generate(id=1, prompt=[1, 2, 3], window_tokens=8, limit_tokens=4, sampling=Sampling(seed=2**63 - 1)),
    Cancel(1),
    Embed(4, [[1, 2], [3]]),
    Tokenize(id=2, text="a\0b", add_special=True, parse_special=False),
    GetStats(3),
]
REPLIES: list[Reply] = [
    Step(
        prefilled=[Prefilled(1, 3, 2, 10**9)],
        emitted=[Emitted(1, 42, b"\xff")],
        finished=[Finished(1, FinishReason.LENGTH, 5)],
        failed=[Failed(2, "DecodeError", {"code": -3})],
    ),
    Tokenized(2, []),
    Embedded(4, [b"\0\0\x80?"]),
]


def stream_of(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def test_messages_arrive_as_they_were_sent() -> None:
    async def read() -> tuple[list[Request | None], list[Reply | None]]:
        requests = stream_of(b"".join(encode(request) for request in REQUESTS))
        replies = stream_of(b"".join(encode(reply) for reply in REPLIES))
        return [await read_request(requests) for _ in range(len(REQUESTS) + 1)], [
            await read_reply(replies) for _ in range(len(REPLIES) + 1)
        ]

    assert asyncio.run(read()) == ([*REQUESTS, None], [*REPLIES, None])


def test_a_connection_that_ends_inside_a_frame_has_ended() -> None:
    async def read(data: bytes) -> Request | None:
        return await read_request(stream_of(data))

    whole = encode(REQUESTS[1])
    for length in range(len(whole)):
        assert asyncio.run(read(whole[:length])) is None


@pytest.mark.parametrize(
    "data", [struct.pack("<I", MAX_FRAME_BYTES + 1), struct.pack("<I", 3) + b"\xc1\xc1\xc1", encode(REPLIES[1])]
)
def test_anything_else_breaks_the_protocol(data: bytes) -> None:
    async def read() -> None:
        await read_request(stream_of(data))

    with pytest.raises(ProtocolError):
        asyncio.run(read())
