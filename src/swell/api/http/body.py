"""Request bodies: JSON read as leniently as Ollama reads it, then checked against a struct."""

import functools
import json
import re
from typing import Any, NoReturn, TypeVar, get_args, get_origin

import msgspec
from starlette.requests import Request

from swell.api.http.compression import unpacked
from swell.api.http.services import services
from swell.api.http.unicode import decoded, with_whole_pairs
from swell.errors import BodyTooLargeError, InvalidRequestError

Body = TypeVar("Body", bound=msgspec.Struct)

_VALUES_MAX = 50_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"(?>[^"\\]+|\\.)*+"?', re.DOTALL)


async def read_body(request: Request, body_type: type[Body]) -> Body:
    """The request's body as `body_type`, whatever its content type.

    Raises BodyTooLargeError, UnsupportedEncodingError or InvalidRequestError.
    """
    return parse_body(await _received(request, services(request).settings.body_limit_bytes), body_type)


async def _received(request: Request, limit_bytes: int) -> bytes:
    """All of the body, unpacked. One that is too long isn't kept."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise BodyTooLargeError(limit_bytes)
    body = bytearray()
    async for piece in unpacked(request.stream(), request.headers.get("content-encoding", "")):
        body += piece
        if len(body) > limit_bytes:
            raise BodyTooLargeError(limit_bytes)
    return bytes(body)


def parse_body(data: bytes, body_type: type[Body]) -> Body:
    """The first JSON value in `data` as `body_type`: unknown keys and nulls are dropped, keys match in any case, and
    2.0 is whole.

    Raises InvalidRequestError.
    """
    data = data.removeprefix(_BYTE_ORDER_MARK)  # with which programs on Windows begin every file
    if not data.strip():
        raise InvalidRequestError("missing request body")
    _check_values(data)
    value = _first_value(data)
    try:
        return msgspec.convert({} if value is None else _folded(value, body_type), body_type)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(str(error)) from error


def _check_values(data: bytes) -> None:
    """Raises InvalidRequestError for more objects and lists than anybody means: each takes time that others lack.

    The first count is a hundred times as fast, but knows nothing of strings.
    """
    if data.count(b"{") + data.count(b"[") <= _VALUES_MAX:
        return
    data = _STRING.sub(b"", data)
    if data.count(b"{") + data.count(b"[") > _VALUES_MAX:
        raise InvalidRequestError(f"the body holds more than {_VALUES_MAX} objects and lists")


def _first_value(data: bytes) -> Any:
    """What comes after the first value is ignored, and what is no Unicode replaced, as Go's decoder does; msgspec
    alone would refuse it.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        first_error = error
    try:
        text = with_whole_pairs(decoded(data)).lstrip(" \t\r\n")
        _, end = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(text)
        return msgspec.json.decode(text[:end])
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(str(first_error)) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _folded(value: Any, expected: Any) -> Any:
    """`value` with the keys of objects that become structs put in the struct's case, and their nulls dropped.

    A key in the right case is preferred to others that differ only in case.
    """
    if isinstance(value, list) and (item := _item_type(expected)) is not None:
        return [{} if one is None else _folded(one, item) for one in value]
    if isinstance(value, float) and expected in (int, int | None) and value.is_integer():
        return int(value)  # in JavaScript, R or Lua there is no other way to have a number
    if not isinstance(value, dict) or not (isinstance(expected, type) and issubclass(expected, msgspec.Struct)):
        return value
    fields = _fields(expected)
    folded: dict[str, Any] = {}
    for key, entry in value.items():
        known = fields.get(key.lower())
        if known is not None and entry is not None and (key == known[0] or known[0] not in folded):
            folded[known[0]] = _folded(entry, known[1])
    return folded


@functools.cache
def _fields(struct: type[msgspec.Struct]) -> dict[str, tuple[str, Any]]:
    return {field.encode_name.lower(): (field.encode_name, field.type) for field in msgspec.structs.fields(struct)}


def _item_type(expected: Any) -> type[msgspec.Struct] | None:
    """`X` for `list[X]` of structs."""
    if get_origin(expected) is not list:
        return None
    item = get_args(expected)[0]
    return item if isinstance(item, type) and issubclass(item, msgspec.Struct) else None
