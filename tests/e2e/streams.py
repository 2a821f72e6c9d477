"""One request as a client sees it, and what must be the same about it whatever becomes of the runner."""

import json
import os
from collections.abc import Callable, Iterator
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
    """What a client gets, without times, and however it is cut into lines; `after` hears of each line but the last."""
    options = {"temperature": 0, "num_predict": 70, **body.get("options", {})}
    native = {"options": options} if path.startswith("/api") else {}
    kept: dict[str, list[str]] = {name: [] for name in _NAMES}
    with server.http.stream("POST", path, json={"model": MODEL, **body, **native}) as response:
        for number, line in enumerate(response.iter_lines()):
            assert response.status_code == 200, line
            after(number)
            data = line.removeprefix("data: ")
            if data.startswith("{"):
                for name, words in _parts(json.loads(data)):
                    kept[name] += words
    return "".join(word for words in kept.values() for word in words)


def _parts(line: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """What of a line must be the same whatever happens. On a busy machine two tokens come in one."""
    if "message" in line and "done" in line:
        line = {**line, **line["message"]}
    elif "choices" in line:
        (choice,) = line["choices"] or [{}]
        line = {**choice, **choice.get("delta", {}), **choice.get("message", {})}
    elif "delta" in line or "type" in line:
        line = line.get("delta", {})
    assert "error" not in line, line
    return ((name, _words(name, line[name])) for name in _NAMES if name in line)


def _words(name: str, value: Any) -> list[str]:
    if name == "tool_calls":
        return [json.dumps(call["function"]) for call in value]  # each has an id, too, which is random
    if name == "logprobs":
        return list(map(json.dumps, value or ()))
    return [json.dumps(value)] if name == "eval_count" else [str(value or "")]


def sabotaged(environment: dict[str, str]) -> dict[str, str]:
    """Settings of a server whose runners can be broken: see `saboteur`."""
    return {**environment, "PYTHONPATH": python_path("saboteur")}


def paced(environment: dict[str, str]) -> dict[str, str]:
    """Settings of a server whose runners don't end an answer before something is done to it: see `paced`."""
    return {**environment, "PYTHONPATH": python_path("paced")}


def python_path(name: str) -> str:
    """Where Python finds the `sitecustomize` in the folder of that name first."""
    return os.pathsep.join(filter(None, [str(Path(__file__).with_name(name)), os.environ.get("PYTHONPATH", "")]))


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
