"""Request bodies."""

import contextlib
import json
import math
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.api.http.body import parse_body
from swell.api.ollama.bodies import ChatBody, GenerateBody, ShowBody, keep_alive, think
from swell.errors import InvalidRequestError
from swell.settings import Settings


def test_a_body() -> None:
    body = parse_body(b'{"model":"m","prompt":"p","stream":false,"options":{"seed":1},"unknown":[1]}', GenerateBody)

    assert (body.model, body.prompt, body.stream, body.options) == ("m", "p", False, {"seed": 1})


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_no_body(data: bytes) -> None:
    with pytest.raises(InvalidRequestError, match=r"^missing request body$"):
        parse_body(data, GenerateBody)


def test_null_is_all_defaults() -> None:
    assert parse_body(b"null", ChatBody) == ChatBody()


def test_null_fields_are_absent() -> None:
    body = parse_body(b'{"stream":null,"truncate":null,"shift":null,"think":null,"prompt":null}', GenerateBody)

    assert body == GenerateBody()
    assert body.stream


def test_a_mark_of_the_byte_order_is_skipped() -> None:
    assert parse_body(b'\xef\xbb\xbf {"model":"m"}', GenerateBody).model == "m"


def test_whole_numbers_may_have_a_point() -> None:
    assert parse_body(b'{"top_logprobs":2.0}', GenerateBody).top_logprobs == 2
    for number in (b"2.5", b"true", b'"2"'):
        with pytest.raises(InvalidRequestError):
            parse_body(b'{"top_logprobs":%s}' % number, GenerateBody)


def test_keys_match_in_any_case() -> None:
    body = parse_body(
        b'{"MODEL":"m","Messages":[{"Role":"user","CONTENT":"Hi","Tool_Calls":[{"Function":{"NAME":"f"}}]}],'
        b'"Options":{"Seed":1},"_DEBUG_render_only":true}',
        ChatBody,
    )

    assert body.model == "m"
    assert body.messages[0].content == "Hi"
    assert body.messages[0].tool_calls[0].function.name == "f"
    assert body.options == {"Seed": 1}
    assert body.debug_render_only


def test_a_key_in_the_right_case_is_preferred() -> None:
    for data in (b'{"Model":"a","model":"b"}', b'{"model":"b","Model":"a"}'):
        assert parse_body(data, ShowBody).model == "b"


@pytest.mark.parametrize("tail", [b"garbage", b'{"model":"x"}', b"\n\n", b"}"])
def test_only_the_first_value_is_read(tail: bytes) -> None:
    assert parse_body(b' \t{"model":"m"}' + tail, ShowBody).model == "m"


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"nonsense",
        b"[]",
        b'"text"',
        b"1",
        b'{"model":1}',
        b'{"stream":"yes"}',
        b'{"options":[]}',
        b'{"context":["a"]}',
        b'{"prompt":"a"\xff}',
        b'{"prompt":"a"\\ud800}',
        b'{"prompt":"\\ud8"}',
        b'{"prompt":"\\ud800',
        b'{"top_logprobs":1.5}',
        b'{"top_logprobs":NaN}',
        b'{"options":{"seed":NaN}}x',
        b"[" * 100_000,
        b'{"options":' * 100_000,
    ],
)
def test_malformed_bodies(data: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        parse_body(data, GenerateBody)


@pytest.mark.parametrize(
    "message", [{"content": [{"type": "text"}]}, {"tool_calls": [{"function": {"arguments": "{}"}}]}, {"role": 1}]
)
def test_malformed_messages(message: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError, match="Expected"):
        parse_body(msgspec.json.encode({"messages": [message]}), ChatBody)


def test_null_content() -> None:
    assert parse_body(b'{"messages":[{"role":"assistant","content":null}]}', ChatBody).messages[0].content == ""


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (rb"cut \ud83d here", "cut \ufffd here"),
        (rb"\udc00", "\ufffd"),
        (rb"\uD800\uDBFF\uDFFF", "\ufffd\U0010ffff"),
        (rb"\ud83d\u0041\ud83d", "\ufffdA\ufffd"),
        (rb"\ud83d\n\ud83d\\ud83d", "\ufffd\n\ufffd\\ud83d"),
        (rb"\\\ud83d", "\\\ufffd"),
        (b"caf\xe9", "caf\ufffd"),
        (b"\xf0\x9f\x98", "\ufffd\ufffd\ufffd"),
        (b"\xed\xa0\x80\xed\xb0\x80", "\ufffd" * 6),
        ("\U0001f600 é \\ud83d\\ude00".encode() + b"\xff", "\U0001f600 é \U0001f600\ufffd"),
    ],
)
def test_what_is_no_unicode_becomes_a_replacement_as_in_go(data: bytes, text: str) -> None:
    for tail in (b"", b" more"):
        assert parse_body(b'{"prompt":"%s"}%s' % (data, tail), GenerateBody).prompt == text
    message = b'{"content":"%s","tool_calls":[{"function":{"arguments":{"%s":["%s"]}}}]}' % (data, data, data)
    (read,) = parse_body(b'{"messages":[%s],"options":{"%s":1}}' % (message, data), ChatBody).messages
    assert (read.content, read.tool_calls[0].function.arguments) == (text, {text: [text]})


_escapes = st.sampled_from([r"\ud83d", r"\uDE00", r"\\", r"\"", r"\n", "ud83d", "a", r"\u00e9", r"\uDBff", r"\udfFF"])


@given(st.lists(_escapes, max_size=12))
def test_escapes_are_read_as_by_a_reader_that_puts_halves_together(escapes: list[str]) -> None:
    """Python's own reader keeps halves that have no other half."""
    data = '{"prompt":"' + "".join(escapes) + '"}'
    expected = re.sub("[\ud800-\udfff]", "\ufffd", json.loads(data)["prompt"])
    assert parse_body(data.encode(), GenerateBody).prompt == expected


def test_a_long_body_that_is_no_unicode_is_read_in_linear_time() -> None:
    """Each of these would take hours if any part of it were looked at again and again."""
    for part in (rb"\ud83d", rb"\ud83d\\", rb"\n", b"a", b"\xff", rb"\ud83d\ude00"):
        text = parse_body(b'{"prompt":"' + part * 200_000 + b'\xff"}', GenerateBody).prompt
        assert text.endswith("\ufffd")
        with pytest.raises(InvalidRequestError):
            parse_body(part * 200_000 + b"\\", GenerateBody)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(InvalidRequestError):
        parse_body(data, GenerateBody)


@pytest.mark.parametrize(
    ("value", "seconds"), [(None, None), (5, 5.0), (0.5, 0.5), (0, 0.0), (-1, math.inf), ("5m", 300.0), ("0", 0.0)]
)
def test_keep_alive(value: object, seconds: float | None) -> None:
    assert keep_alive(value) == seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("10", 'time: missing unit in duration "10"'),
        ("", 'time: invalid duration ""'),
        (True, "keep_alive must be"),
        ([], "keep_alive must be"),
        (10**400, "int too large"),
    ],
)
def test_malformed_keep_alive(value: object, text: str) -> None:
    with pytest.raises(InvalidRequestError, match=text):
        keep_alive(value)


def test_think() -> None:
    assert [think(value) for value in (None, True, False, "high", "max")] == [None, True, False, "high", "max"]
    with pytest.raises(InvalidRequestError) as caught:
        think("x")
    assert str(caught.value) == 'invalid think value: "x" (must be "high", "medium", "low", "max", true, or false)'
    with pytest.raises(InvalidRequestError) as caught:
        think(1)
    assert str(caught.value) == 'think must be a boolean or string ("high", "medium", "low", "max", true, or false)'


@pytest.mark.parametrize(
    ("data", "is_too_much"),
    [
        (b'{"messages":[' + b"{}," * 49_990 + b"{}]}", False),
        (b'{"messages":[' + b"{}," * 60_000 + b"{}]}", True),
        (b'{"messages":[' + b"[]," * 60_000 + b"{}]}", True),
        (b'{"prompt":"' + b"{[" * 60_000 + b'"}', False),
        (b'{"prompt":"' + b'\\"{' * 60_000 + b'"}', False),
        (b'{"prompt":"' + b"\\\\" * 60_000 + b'","options":{"x":[' + b"{}," * 60_000 + b"{}]}}", True),
        (b'"' + b'\\"{' * 5_000_000, False),  # no end: counting it must not take more than linear time
    ],
)
def test_objects_and_lists_are_counted(data: bytes, is_too_much: bool) -> None:
    try:
        parse_body(data, ChatBody)
        text = ""
    except InvalidRequestError as error:
        text = str(error)
    assert (text == "the body holds more than 50000 objects and lists") is is_too_much


def test_a_body_has_a_limit(server: Any) -> None:
    server.settings = Settings(body_limit_bytes=1000)
    expected = (413, "the body of the request is longer than 1000 bytes; SWELL_BODY_LIMIT sets the limit")
    assert server.refused("/api/generate", model="tiny", prompt="x" * 1000) == expected

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 100

    for path, kind in (("/v1/chat/completions", "invalid_request_error"), ("/v1/messages", "request_too_large")):
        response = server.request("POST", path, content=pieces())
        assert response.status_code == 413
        assert response.json()["error"]["type"] == kind
    assert server.post("/api/generate", model="tiny", prompt="x" * 900, stream=False).status_code == 200
