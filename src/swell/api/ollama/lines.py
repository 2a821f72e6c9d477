"""Answers in lines of JSON."""

from typing import Any, ClassVar

from swell.api.http.errors import text_of
from swell.api.http.json import encode
from swell.api.http.streams import Stream
from swell.api.ollama.errors import ErrorReply
from swell.api.ollama.replies import Reply

NDJSON_TYPE = "application/x-ndjson"


def line(content: Any) -> bytes:
    """`content` as one line of NDJSON."""
    return encode(content) + b"\n"


class LineStream(Stream[Reply]):
    """An answer in lines of JSON; an error becomes the last line."""

    stream_headers: ClassVar = {"content-type": NDJSON_TYPE}

    def encode(self, item: Reply) -> bytes:
        return line(item)

    def encode_error(self, error: Exception) -> bytes:
        return line(ErrorReply(text_of(error)))
