import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]
Swell = Callable[..., subprocess.CompletedProcess[str]]

MODELS = [{"name": "m:latest", "digest": "ab" * 32, "size": 1000, "expires_at": "2318-12-01T17:21:00Z"}]


@pytest.mark.parametrize(
    ("arguments", "is_verbose"),
    [
        (["--verbose"], True),
        (["--verbose=true"], True),
        (["--verbose=T"], True),
        (["-v"], True),
        (["-v=1"], True),
        (["--verbose=false"], False),
        (["-v=0"], False),
        (["--verbose", "--verbose=F"], False),
        (["--verbose=false", "-v"], True),
        (["--verbose", "m"], True),
        (["m", "-v"], True),
        (["--", "m"], False),
    ],
)
def test_switches_may_have_a_value(swell: Swell, answers: Answers, arguments: list[str], is_verbose: bool) -> None:
    answers["GET /api/ps"] = (200, json.dumps({"models": MODELS}))
    result = swell("ps", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("ACTIVE" in result.stdout) is is_verbose
    assert "m:latest" in result.stdout


def test_a_word_after_a_switch_is_an_argument(swell: Swell, answers: Answers) -> None:
    answers["GET /api/ps"] = (200, json.dumps({"models": MODELS}))
    assert "m:latest" not in swell("ps", "--verbose", "false").stdout  # a prefix, of no model's name


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["ps", "--nope"], "unknown flag: --nope"),
        (["ps", "--nope=1"], "unknown flag: --nope"),
        (["ps", "-x"], "unknown shorthand flag: 'x' in -x"),
        (["--nope", "ps"], "unknown flag: --nope"),
        (["run", "m", "--keepalive"], "flag needs an argument: --keepalive"),
        (
            ["ps", "-v=maybe"],
            'invalid argument "maybe" for "-v, --verbose" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (["run"], "requires at least 1 arg(s), only received 0"),
        (["show"], "accepts 1 arg(s), received 0"),
        (["stop", "a", "b"], "accepts 1 arg(s), received 2"),
        (["serve", "a"], "accepts 0 arg(s), received 1"),
        (["list", "a", "b"], "accepts at most 1 arg(s), received 2"),
        (["nope"], 'unknown command "nope" for "swell"'),
        (["shwo"], 'unknown command "shwo" for "swell"\n\nDid you mean this?\n\tshow\n'),
        (["bench", "nope"], 'unknown command "nope" for "swell bench"'),
        (["bench", "kv", "m", "--slots", "x"], "Invalid value for '--slots': "),
    ],
)
def test_what_makes_no_sense_is_said_in_one_sentence(swell: Swell, arguments: list[str], error: str) -> None:
    result = swell(*arguments, host="192.0.2.1:1")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"Error: {error}")
    assert "Usage" not in result.stderr


def test_help_needs_no_arguments(swell: Swell) -> None:
    result = swell("run", "-h")
    assert (result.returncode, result.stderr) == (0, "")
    assert "--keepalive" in result.stdout
    assert swell("help", "run").stdout == result.stdout
    assert swell("help").stdout == swell("--help").stdout
    assert swell("bench").stdout == swell("help", "bench").stdout
