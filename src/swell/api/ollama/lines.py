"""Answers in lines of JSON."""

from collections.abc import Callable
from typing import Any, ClassVar

from swell.api.http.errors import text_of
from swell.api.http.json import encode
from swell.api.http.streams import PingedStream, Replies
from swell.api.ollama.errors import ErrorReply
from swell.api.ollama.replies import Reply

NDJSON_TYPE = "application/x-ndjson"


def line(content: Any) -> bytes:
    """`content` as one line of NDJSON."""
    return encode(content) + b"\n"


SILENCE_S = 50.0
"""Proxies give up a request that isn't answered for 60 s, Node.js one that is silent for 300 s."""


class LineStream(PingedStream[Reply]):
    """An answer in lines of JSON; an error becomes the last line. `blank` makes a line that says nothing: clients read
    every line, and there is no other kind that they would skip.
    """

    stream_headers: ClassVar = {"content-type": NDJSON_TYPE}

    def __init__(self, replies: Replies[Reply], blank: Callable[[], Reply]) -> None:
        super().__init__(replies, lambda: line(blank()), SILENCE_S)

    def encode(self, item: Reply) -> bytes:
        return line(item)

    def encode_error(self, error: Exception) -> bytes:
        return line(ErrorReply(text_of(error)))
