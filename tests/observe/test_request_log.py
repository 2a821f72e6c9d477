"""The line of a request, for people and for programs."""

import json
import logging
import sys

import msgspec
import pytest
from hypothesis import given
from tests.observe.events import events_of

from swell.metrics.events import RequestFinished, RequestOutcome, ServerEvent
from swell.metrics.observer import Metrics
from swell.observe.log_format import JsonFormatter
from swell.observe.request_log import RequestLog, fields, line

FINISHED = RequestFinished(
    request="r1", method="POST", endpoint="/api/chat", status=200, outcome=RequestOutcome.OK, model="m", total_s=2.0
)


@given(events_of(RequestFinished))
def test_a_request_is_one_line_that_has_its_name_in_either_form(event: ServerEvent) -> None:
    assert isinstance(event, RequestFinished)
    event = msgspec.structs.replace(event, request="r1", method="POST", endpoint="/", error="Error", recovery_steps=())
    assert len(line(event).splitlines()) == 1
    assert line(event).endswith(" id=r1")
    record = logging.LogRecord("swell.requests", logging.INFO, "", 0, "%s", (line(event),), None)
    record.fields = fields(event)
    written = JsonFormatter().format(record)
    assert "\n" not in written
    told = json.loads(written)
    assert told.get("request", "") == event.request
    assert told["outcome"] == event.outcome.value


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (FINISHED, logging.INFO),
        (msgspec.structs.replace(FINISHED, model=""), logging.DEBUG),
        (msgspec.structs.replace(FINISHED, model="", outcome=RequestOutcome.CLIENT_LEFT), logging.DEBUG),
        (msgspec.structs.replace(FINISHED, model="", outcome=RequestOutcome.CLIENT_ERROR), logging.INFO),
    ],
)
def test_who_only_looks_is_logged_for_those_who_debug(
    event: RequestFinished, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    RequestLog(metrics)
    with caplog.at_level(logging.DEBUG):
        metrics.report(event)
    assert [record.levelno for record in caplog.records] == [level]


def test_an_errors_traceback_is_part_of_its_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("swell", logging.ERROR, "", 0, "failed: %s", ("x",), sys.exc_info())
    told = json.loads(JsonFormatter().format(record))
    assert (told["level"], told["message"]) == ("error", "failed: x")
    assert "ValueError" in told["traceback"]
