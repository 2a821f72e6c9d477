"""JSON bodies."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

JSON_TYPE = "application/json; charset=utf-8"

_encoder = msgspec.json.Encoder()
encode = _encoder.encode


def json_response(content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """`content`, anything msgspec can encode, as a JSON body; `headers` may name another type of JSON."""
    return Response(encode(content), status_code, headers={"content-type": JSON_TYPE, **(headers or {})})
