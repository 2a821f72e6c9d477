"""Reply bodies: order and omission of fields, times."""

import re
import time
from datetime import datetime, timedelta, timezone

import pytest

from swell.api.http.json import json_response
from swell.api.ollama.lines import line
from swell.api.ollama.replies import (
    ChatReply,
    GenerateReply,
    ReplyMessage,
    created_at,
    local_time,
)


def test_a_chunk_has_nothing_but_its_text() -> None:
    reply = GenerateReply(model="m", created_at="t", response="é<", done=False)

    assert line(reply).decode() == '{"model":"m","created_at":"t","response":"é<","done":false}\n'


def test_a_last_reply_has_its_fields_in_order() -> None:
    reply = GenerateReply(
        model="m",
        created_at="t",
        response="",
        done=True,
        done_reason="stop",
        context=[1],
        total_duration=1,
        load_duration=2,
        prompt_eval_count=3,
        prompt_eval_duration=4,
        eval_count=5,
        eval_duration=6,
    )
    assert line(reply).decode() == (
        '{"model":"m","created_at":"t","response":"","done":true,"done_reason":"stop","context":[1],"total_duration":1,'
        '"load_duration":2,"prompt_eval_count":3,"prompt_eval_duration":4,"eval_count":5,"eval_duration":6}\n'
    )


def test_a_chat_reply_always_has_role_and_content() -> None:
    reply = ChatReply(model="m", created_at="t", message=ReplyMessage(content=""), done=True, done_reason="load")

    assert line(reply).decode() == (
        '{"model":"m","created_at":"t","message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}\n'
    )


def test_json_says_its_encoding() -> None:
    assert json_response({}).headers["content-type"] == "application/json; charset=utf-8"


def test_created_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", created_at())
    for nanoseconds, text in ((0, "1970-01-01T00:00:00Z"), (1_500_000_000, "1970-01-01T00:00:01.5Z")):
        monkeypatch.setattr(time, "time_ns", lambda now=nanoseconds: now)
        assert created_at() == text


def test_local_time(moment: datetime) -> None:
    text = local_time(moment.astimezone(timezone(timedelta(hours=-7))))

    assert datetime.fromisoformat(text) == moment
    assert re.search(r"[+-]\d\d:\d\d$", text)
