import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from swell import __version__

Answers = dict[str, tuple[int, str]]
Swell = Callable[..., subprocess.CompletedProcess[str]]

NO_SERVER = "Error: could not connect to swell server, run 'swell serve' to start it\n"
NO_INSTANCE = f"Warning: could not connect to a running Swell instance\nWarning: client version is {__version__}\n"


@pytest.mark.parametrize("command", [["list"], ["ls", "x"], ["ps"], ["show", "m"], ["stop", "m"]])
def test_commands_need_a_server(swell: Swell, command: list[str]) -> None:
    result = swell(*command, host="127.0.0.1:1")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", NO_SERVER)


@pytest.mark.parametrize(
    ("reply", "lines"),
    [
        ({"version": "0.33.0", "swell": __version__}, f"swell version is {__version__}\n"),
        (
            {"version": "0.33.0", "swell": "9.9.9"},
            f"swell version is 9.9.9\nWarning: client version is {__version__}\n",
        ),
        ({"version": "0.33.0"}, NO_INSTANCE),  # somebody else's server
    ],
)
def test_version(swell: Swell, answers: Answers, reply: dict[str, str], lines: str) -> None:
    answers["GET /api/version"] = (200, json.dumps(reply))
    result = swell("--version")
    assert (result.returncode, result.stdout) == (0, lines)


def test_version_without_a_server(swell: Swell) -> None:
    assert swell("-v", host="127.0.0.1:1").stdout == NO_INSTANCE


def test_alone_it_shows_help(swell: Swell) -> None:
    result = swell()
    assert result.returncode == 0
    assert result.stdout == swell("--help").stdout
    assert "--listen-fd" not in swell("serve", "--help").stdout


def test_a_refused_heartbeat_is_reported(swell: Swell, answers: Answers) -> None:
    answers["HEAD /"] = (403, "")
    assert swell("ps").stderr == "Error: 403 Forbidden\n"


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["run", "m", "hi"]])
def test_a_closed_pipe_is_no_error_to_talk_about(
    environment: dict[str, str], answers: Answers, arguments: list[str]
) -> None:
    answers["GET /api/tags"] = (200, '{"models":[]}')
    answers["POST /api/generate"] = (200, '{"response":"Hi","done":true}\n')
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "swell", *arguments]
    result = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.PIPE, env=environment, timeout=60
    )
    os.close(write_end)
    assert (result.returncode, result.stderr) == (1, b"")


def test_heavy_modules_are_not_imported_for_nothing() -> None:
    heavy = ("httpx", "rich", "swell.api", "swell.models")
    code = f"import sys, swell.cli.main; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
