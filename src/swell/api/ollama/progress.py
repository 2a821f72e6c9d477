"""Answers that say how far something has come."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from starlette.requests import Request
from starlette.responses import Response

from swell.api.http.disconnects import while_connected
from swell.api.http.errors import text_of
from swell.api.http.json import json_response
from swell.api.http.streams import Stream
from swell.api.ollama.errors import ErrorReply
from swell.api.ollama.lines import NDJSON_TYPE, line
from swell.store.progress import Progress


class ProgressStream(Stream[Progress]):
    """A line for each step; an error becomes the last one."""

    stream_headers: ClassVar = {"content-type": NDJSON_TYPE}

    def encode(self, item: Progress) -> bytes:
        return line(item)

    def encode_error(self, error: Exception) -> bytes:
        return line(ErrorReply(text_of(error)))


async def progress_response(request: Request, steps: AsyncGenerator[Progress, None], *, stream: bool) -> Response:
    """All steps as they are done, or only the last one. What is being done ends if the client leaves."""
    return ProgressStream(steps) if stream else await while_connected(request.receive, _last(steps))


async def _last(steps: AsyncGenerator[Progress, None]) -> Response:
    async with aclosing(steps):
        all_steps = [step async for step in steps]
    return json_response(all_steps[-1], headers={"content-type": "application/json"})
