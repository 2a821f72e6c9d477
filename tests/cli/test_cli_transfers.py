"""`pull`, `push`, and `run` of a model that isn't there yet."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tests.cli.screen import Screen
from tests.cli.terminal import CTRL_C, Terminal
from tests.cli.wire import generated, moved, steps

from swell.cli.client import Client
from swell.cli.errors import RefusedError
from swell.cli.transfers import show_or_pull
from swell.host import parse_host

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]
Environment = dict[str, str]
Swell = Callable[..., subprocess.CompletedProcess[str]]

WEIGHTS, LICENSE = (f"sha256:{letter * 64}" for letter in "ab")
PULLED = (
    "pulling manifest",
    moved(WEIGHTS, 10**9, 0),
    moved(WEIGHTS, 10**9, 5 * 10**8),
    moved(LICENSE, 1000, 1000),
    moved(WEIGHTS, 10**9, 10**9),
    "verifying sha256 digest",
    "writing manifest",
    "success",
)
LINES = """\
pulling manifest
pulling aaaaaaaaaaaa
pulling bbbbbbbbbbbb
verifying sha256 digest
writing manifest
success
"""
NOT_FOUND = (404, '{"error":"model \'m:latest\' not found"}')


@pytest.mark.parametrize("command", ["pull", "push"])
def test_in_a_pipe_there_is_a_line_for_each_step(swell: Swell, answers: Answers, asked: Asked, command: str) -> None:
    answers[f"POST /api/{command}"] = (200, steps(*PULLED))
    result = swell(command, "m")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", LINES)
    swell(command, "m", "--insecure")
    assert asked == [
        (f"POST /api/{command}", {"model": "m"}),
        (f"POST /api/{command}", {"model": "m", "insecure": True}),
    ]


@pytest.mark.parametrize("columns", [100, 40, 20])
def test_on_a_terminal_there_are_bars(environment: Environment, answers: Answers, columns: int) -> None:
    answers["POST /api/pull"] = (200, steps(*PULLED))
    with Terminal("pull", "m", environment=environment, columns=columns) as terminal:
        screen = Screen(columns)
        screen.write(terminal.until("\x1b[?25h"))
        assert terminal.end() == 0
        assert terminal.echoes()
    steps_shown = ["pulling manifest", "verifying sha256 digest", "writing manifest", "success"]
    assert [line for line in screen.shown if "%" not in line] == [step[: columns - 1] for step in steps_shown]
    bars = [line for line in screen.shown if "%" in line]
    assert len(bars) == 2
    assert all("100%" in line and len(line) < columns for line in bars)
    assert ("█" in bars[0], "1 GB" in bars[0]) == (columns > 20, columns > 40)


def test_an_interrupt_ends_the_request_and_the_lines(environment: Environment, answers: Answers) -> None:
    answers["POST /api/pull"] = (200, steps(*PULLED[:3]) + "<hang>")
    with Terminal("pull", "m", environment=environment) as terminal:
        screen = Screen(80)
        screen.write(terminal.until("50%"))
        terminal.type(CTRL_C)
        screen.write(terminal.until("\x1b[?25h"))
        assert terminal.end() == 130
        assert terminal.echoes()
    assert [line[:27] for line in screen.shown] == ["pulling manifest", "pulling aaaaaaaaaaaa:  50% "]


def test_an_interrupt_in_a_pipe_says_nothing(environment: Environment, answers: Answers) -> None:
    answers["POST /api/pull"] = (200, steps("pulling manifest") + "<hang>")
    with subprocess.Popen(
        [sys.executable, "-m", "swell", "pull", "m"], stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"pulling manifest\n"
        process.send_signal(signal.SIGINT)
        assert (process.wait(60), process.stderr.read()) == (130, b"")


@pytest.mark.parametrize(
    ("status", "reply", "error"),
    [
        (400, '{"error":"invalid model name"}', "400 Bad Request: invalid model name"),
        (
            200,
            steps("pulling manifest", {"error": "pull model manifest: file does not exist"}),
            "pull model manifest: file does not exist",
        ),
        (
            200,
            steps(*PULLED[:3]),
            "lost the connection to the server: its answer ended too early; "
            "the same command goes on where this one stopped",
        ),
    ],
)
def test_what_can_go_wrong(swell: Swell, answers: Answers, status: int, reply: str, error: str) -> None:
    answers["POST /api/pull"] = (status, reply)
    result = swell("pull", "m")
    assert (result.returncode, result.stderr.splitlines()[-1]) == (1, f"Error: {error}")


def test_names_are_never_taken_for_files(swell: Swell, answers: Answers, asked: Asked) -> None:
    answers["POST /api/pull"] = (200, steps("success"))
    name = "hf.co/me/repo:weights.gguf"
    assert swell("pull", name).returncode == 0
    answers["POST /api/generate"] = (200, generated("Hi"))
    assert swell("run", name, "hi").stdout == "Hi\n\n"
    assert {body["model"] for _, body in asked} == {name}


def test_run_pulls_what_isnt_there(swell: Swell, answers: Answers, asked: Asked) -> None:
    answers["POST /api/show"] = NOT_FOUND
    answers["POST /api/pull"] = (200, steps("pulling manifest", {"error": "no route to host"}))
    result = swell("run", "m", "hi", "--insecure")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "pulling manifest\nError: no route to host\n"
    assert asked == [("POST /api/show", {"model": "m"}), ("POST /api/pull", {"model": "m", "insecure": True})]


def test_what_was_pulled_is_run(swell: Swell, answers: Answers, afterwards: dict[str, Answers], asked: Asked) -> None:
    answers["POST /api/show"] = NOT_FOUND
    answers["POST /api/pull"] = (200, steps(*PULLED))
    answers["POST /api/generate"] = (200, generated("Hi"))
    answers["POST /api/embed"] = (200, '{"embeddings":[[0.5]]}')
    for shown, printed in (({}, "Hi\n\n"), ({"capabilities": ["embedding"]}, "[0.5]\n")):
        answers["POST /api/show"] = NOT_FOUND
        afterwards["POST /api/pull"] = {"POST /api/show": (200, json.dumps(shown))}
        result = swell("run", "m", "hi")
        assert (result.returncode, result.stdout, result.stderr) == (0, printed, LINES)
    assert [key for key, _ in asked[:4]] == [f"POST /api/{name}" for name in ("show", "pull", "show", "generate")]


def test_files_are_not_pulled(swell: Swell, answers: Answers, asked: Asked) -> None:
    answers["POST /api/show"] = (404, '{"error":"model \'/x/y.gguf\' not found"}')
    result = swell("run", "/x/y.gguf", "hi")
    assert (result.returncode, result.stderr) == (1, "Error: model '/x/y.gguf' not found\n")
    assert [key for key, _ in asked] == ["POST /api/show"]


def test_other_refusals_are_no_reason_to_pull(address: str, answers: Answers, asked: Asked) -> None:
    answers["POST /api/show"] = (400, '{"error":"invalid model name"}')
    with Client(parse_host(address)) as client, pytest.raises(RefusedError):
        show_or_pull(client, "m", insecure=False)
    assert [key for key, _ in asked] == ["POST /api/show"]
