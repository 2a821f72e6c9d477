"""How the server stops: answers are finished if there is time, and nothing is left in any case."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.server import MODEL, Server, running
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.destructive


def ask(server: Server, predict: int, signals: dict[int, signal.Signals]) -> list[dict[str, Any]]:
    """The lines of a story; at some of them the server gets a signal."""
    options = {"temperature": 0, "num_predict": predict}
    body = {"model": MODEL, "prompt": "Once upon a time", "raw": True, "options": options}
    lines: list[dict[str, Any]] = []
    with server.http.stream("POST", "/api/generate", json=body) as response:
        for line in response.iter_lines():
            lines.append(json.loads(line))
            if len(lines) in signals:
                server.process.send_signal(signals[len(lines)])
                wait_until(lambda: "Shutting down" in server.log.read_text(), "it is noticed: two at once are one")
    return lines


def test_an_answer_in_progress_is_finished(log: Path) -> None:
    with running(log) as server:
        lines = ask(server, 60, {10: signal.SIGTERM})
        assert (lines[-1]["done_reason"], lines[-1]["eval_count"]) == ("length", 60)
        assert server.process.wait(PATIENCE_S) == 0
        with pytest.raises(httpx.TransportError):
            server.http.get("/api/version")
    assert "Traceback" not in log.read_text()


def test_one_that_takes_too_long_ends_with_what_there_is(log: Path) -> None:
    with running(log, {"SWELL_DRAIN": "1s"}) as server:
        server.generate("x", predict=1)
        (runner,) = server.runners()
        lines = ask(server, 4000, {10: signal.SIGTERM})
        assert lines[-1]["done_reason"] == "error"
        assert "stopping" in lines[-1]["error"]
        assert lines[-1]["eval_count"] == len(lines) - 1 > 10
        assert server.process.wait(PATIENCE_S) == 0
        assert not runner.is_running()
    assert "Traceback" not in log.read_text()


def test_a_second_signal_ends_it_at_once(log: Path) -> None:
    with running(log, {"SWELL_DRAIN": "5m"}) as server:
        server.generate("x", predict=1)
        (runner,) = server.runners()
        with pytest.raises(httpx.TransportError):
            ask(server, 4000, {10: signal.SIGTERM, 20: signal.SIGTERM})
        server.process.wait(PATIENCE_S)
        runner.wait(PATIENCE_S)
