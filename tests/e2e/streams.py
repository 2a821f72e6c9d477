"""One request as a client sees it, and what must be the same about it whatever becomes of the runner."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.server import MODEL, Server

STORY = "Once upon a time there was a lighthouse keeper who"
# fmt: off
_NAMES = (
    "response", "content", "thinking", "text", "reasoning", "tool_calls", "logprobs",
    "eval_count", "done_reason", "finish_reason", "stop_reason",
)
# fmt: on


def answer(server: Server, path: str, body: dict[str, Any], after: Callable[[int], None] = lambda _: None) -> str:
    """What a client gets, without times; `after` hears of each line but the last."""
    options = {"temperature": 0, "num_predict": 70, **body.get("options", {})}
    native = {"options": options} if path.startswith("/api") else {}
    kept: list[str] = []
    with server.http.stream("POST", path, json={"model": MODEL, **body, **native}) as response:
        for number, line in enumerate(response.iter_lines()):
            assert response.status_code == 200, line
            after(number)
            data = line.removeprefix("data: ")
            if data.startswith("{"):
                kept.append(_text(json.loads(data)))
    return "".join(kept)


def _text(line: dict[str, Any]) -> str:
    """The parts of a line that must be the same whatever happens."""
    if "message" in line and "done" in line:
        line = {**line, **line["message"]}
    elif "choices" in line:
        (choice,) = line["choices"] or [{}]
        line = {**choice, **choice.get("delta", {}), **choice.get("message", {})}
    elif "delta" in line or "type" in line:
        line = line.get("delta", {})
    assert "error" not in line, line
    return "".join(_word(name, line[name]) for name in _NAMES if name in line)


def _word(name: str, value: Any) -> str:
    if name == "tool_calls":
        return json.dumps([call["function"] for call in value])  # each has an id, too, which is random
    return json.dumps(value) if name in ("eval_count", "logprobs") else str(value or "")


def sabotaged(environment: dict[str, str]) -> dict[str, str]:
    """Settings of a server whose runners can be broken: see `saboteur`."""
    paths = [str(Path(__file__).with_name("saboteur")), os.environ.get("PYTHONPATH", "")]
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def fresh(server: Server) -> None:
    """Nothing is cached: the next prompt is read from its beginning, as in a new runner."""
    for runner in server.runners():
        runner.kill()
        runner.wait()


def kill_runner(server: Server) -> None:
    for runner in server.runners():
        runner.kill()


def rungs(server: Server) -> dict[str, int]:
    """What was tried since the server started to let requests go on, and how often."""
    counts: dict[str, int] = server.http.get("/stats").json()["server"]["rungs"]
    return counts
