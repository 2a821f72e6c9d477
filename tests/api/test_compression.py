"""Bodies that clients have compressed."""

import gzip
import json
import zlib
from typing import Any

import pytest

from swell.settings import Settings

BODY = json.dumps({"model": "tiny", "prompt": "Hi", "stream": False}).encode()
PACKED = gzip.compress(BODY, mtime=0)
"""Without the time, which would be in the names of tests."""
MEGABYTE = b" " * (1 << 20)


@pytest.mark.parametrize(
    ("encoding", "content"),
    [
        ("gzip", PACKED),
        ("X-GZIP", PACKED),
        ("deflate", zlib.compress(BODY)),
        ("identity, gzip", PACKED),
        ("identity", BODY),
        ("utf-8", BODY),  # no encoding, but sent as one
        ("", BODY),
    ],
)
def test_it_is_read(server: Any, encoding: str, content: bytes) -> None:
    response = server.request("POST", "/api/generate", content=content, headers={"content-encoding": encoding})
    assert response.status_code == 200, response.text
    assert response.json()["response"] == "Hello"


@pytest.mark.parametrize(
    ("encoding", "content", "status", "text"),
    [
        ("zstd", BODY, 415, "a body in zstd can't be read; send it as it is, or in gzip or deflate"),
        ("br", BODY, 415, "a body in br can't be read; send it as it is, or in gzip or deflate"),
        ("gzip, gzip", BODY, 415, "a body in gzip, gzip can't be read; send it as it is, or in gzip or deflate"),
        ("gzip", BODY, 400, "the body isn't gzip, as its headers say: "),
        ("gzip", PACKED[:-9], 400, "the body is gzip that breaks off"),
        ("gzip", b"", 400, "the body is gzip that breaks off"),
        ("gzip", gzip.compress(b"{", mtime=0), 400, "Input data was truncated"),
    ],
)
@pytest.mark.parametrize("path", ["/api/generate", "/v1/chat/completions", "/v1/messages"])
def test_it_is_refused(server: Any, path: str, encoding: str, content: bytes, status: int, text: str) -> None:
    response = server.request("POST", path, content=content, headers={"content-encoding": encoding})
    assert response.status_code == status
    error = response.json()["error"]
    assert (error if isinstance(error, str) else error["message"]).startswith(text)
    assert isinstance(error, str) or error["type"] == "invalid_request_error"


def test_what_becomes_too_long_is_refused_before_it_is_unpacked(server: Any) -> None:
    """64 MB in 64 kB: a tenth of a second, and as much memory, if all of it were unpacked."""
    server.settings = Settings(body_limit_bytes=1 << 20)
    response = server.request(
        "POST", "/api/generate", content=gzip.compress(MEGABYTE * 64), headers={"content-encoding": "gzip"}
    )
    assert response.status_code == 413
