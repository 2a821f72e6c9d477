import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.cli.wire import FAILED, LOADED, TIMES, VERBOSE, generated
from tests.waiting import wait_until

from swell.cli.answer import Answer, timings
from swell.cli.replies import Chunk

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]
Swell = Callable[..., subprocess.CompletedProcess[str]]


def bodies(asked: Asked) -> list[Any]:
    """What was asked for once it was known what kind of model it is."""
    return [body for key, body in asked if key != "POST /api/show"]


def test_timings() -> None:
    assert timings(msgspec.convert(TIMES, Chunk)) == VERBOSE
    assert timings(Chunk(eval_count=3)) == "eval count:           3 token(s)\n"


def test_one_answer(swell: Swell, answers: Answers, asked: Asked) -> None:
    answers["POST /api/generate"] = (200, generated("He", "llo ✓", **TIMES))
    result = swell("run", "m", "say", "hello", "--verbose", "--keepalive", "1h30m", stdin="piped\ntext")
    assert (result.returncode, result.stdout, result.stderr) == (0, "Hello ✓\n\n", VERBOSE)
    assert asked == [
        ("POST /api/show", {"model": "m"}),
        ("POST /api/generate", {"model": "m", "prompt": "piped\ntext say hello", "keep_alive": "1h30m"}),
    ]


def test_without_a_prompt_the_model_is_just_loaded(swell: Swell, answers: Answers, asked: Asked) -> None:
    answers["POST /api/generate"] = (200, LOADED)
    result = swell("run", "m", "--verbose")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert bodies(asked) == [{"model": "m", "prompt": ""}]


def test_an_unknown_model(swell: Swell, answers: Answers) -> None:
    answers["POST /api/generate"] = (404, '{"error":"model \'x\' not found"}')
    result = swell("run", "x", "hi")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Error: 404 Not Found: model 'x' not found\n"


@pytest.mark.parametrize("last", [FAILED, '{"error":"out of memory"}\n'])
def test_an_answer_that_fails_half_way(swell: Swell, answers: Answers, last: str) -> None:
    answers["POST /api/generate"] = (200, '{"response":"Hel","done":false}\n' + last)
    result = swell("run", "m", "hi")
    assert (result.returncode, result.stdout, result.stderr) == (1, "Hel\n", "Error: out of memory\n")


def test_a_wrong_duration(swell: Swell) -> None:
    result = swell("run", "m", "hi", "--keepalive", "10")
    assert (result.returncode, result.stderr) == (1, 'Error: time: missing unit in duration "10"\n')


def test_an_interrupt_ends_an_answer_as_if_it_were_complete(environment: dict[str, str], answers: Answers) -> None:
    answers["POST /api/generate"] = (200, '{"response":"Hel","done":false}\n<hang>')
    with subprocess.Popen(
        [sys.executable, "-m", "swell", "run", "m", "hi"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout
        assert process.stdout.read(3) == b"Hel"  # pieces are flushed one by one
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == (b"\n", b"")
    assert process.returncode == 0


def test_an_interrupt_ends_a_load_as_if_it_were_complete(
    environment: dict[str, str], answers: Answers, asked: Asked
) -> None:
    answers["POST /api/generate"] = (200, "<hang>")
    command = [sys.executable, "-m", "swell", "run", "m"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment) as process:
        wait_until(lambda: len(asked) == 2 or process.poll() is not None, "the load is asked for")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (["--format", "json"], {"format": "json"}),
        (["--format", json.dumps(SCHEMA)], {"format": SCHEMA}),
        (["--format="], {}),
        (["--keepalive="], {}),
        (["--insecure", "--nowordwrap=false", "--truncate", "--dimensions=3"], {}),
    ],
)
def test_wishes_for_an_answer(
    swell: Swell, answers: Answers, asked: Asked, arguments: list[str], sent: dict[str, object]
) -> None:
    answers["POST /api/generate"] = (200, generated("Hi"))
    result = swell("run", "m", *arguments, "hi")
    assert (result.returncode, result.stdout, result.stderr) == (0, "Hi\n\n", "")
    assert bodies(asked) == [{"model": "m", "prompt": "hi", **sent}]


@pytest.mark.parametrize("text", ["yaml", "[]", '{"type":'])
def test_a_wrong_format(swell: Swell, asked: Asked, text: str) -> None:
    result = swell("run", "m", "hi", "--format", text)
    assert (result.returncode, result.stdout, asked) == (1, "", [])
    assert result.stderr == f'Error: invalid format: "{text}"; expected "json" or a valid JSON Schema object\n'


def test_a_name_that_makes_no_sense(swell: Swell, answers: Answers) -> None:
    answers["POST /api/show"] = (400, '{"error":"invalid model name"}')
    assert swell("run", "a b c", "hi").stderr == "Error: invalid model name\n"


EMBEDDER = (200, '{"model_info":{},"capabilities":["embedding"]}')


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ([], {}),
        (["--truncate", "--dimensions", "2"], {"truncate": True, "dimensions": 2}),
        (["--truncate=false", "--keepalive=1m", "--dimensions=0"], {"truncate": False, "keep_alive": "1m"}),
    ],
)
def test_a_model_for_embeddings_gives_a_vector(
    swell: Swell, answers: Answers, asked: Asked, arguments: list[str], sent: dict[str, object]
) -> None:
    answers["POST /api/show"] = EMBEDDER
    answers["POST /api/embed"] = (200, '{"model":"m","embeddings":[[0.25,-1e-7,3]],"total_duration":1}')
    result = swell("run", "m", *arguments, "the sky", stdin="piped")
    assert (result.returncode, result.stdout, result.stderr) == (0, "[0.25,-1e-7,3]\n", "")
    assert asked[1:] == [("POST /api/embed", {"model": "m", "input": "piped the sky", **sent})]


def test_a_model_for_embeddings_needs_a_text(swell: Swell, answers: Answers) -> None:
    answers["POST /api/show"] = EMBEDDER
    result = swell("run", "m")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == 'Error: embedding models require input text. Usage: swell run m "your text here"\n'


THOUGHTS = (
    '{"response":"","thinking":"Hm,","done":false}\n'
    '{"response":"","thinking":" well.","done":false}\n'
    '{"response":"Hello","done":false}\n'
    '{"response":"","done":true,"done_reason":"stop"}\n'
)


def test_thoughts_are_marked(swell: Swell, answers: Answers, asked: Asked) -> None:
    answers["POST /api/generate"] = (200, THOUGHTS)
    result = swell("run", "m", "--think", "hi")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "Thinking...\nHm, well.\n...done thinking.\n\nHello\n\n"
    assert bodies(asked) == [{"model": "m", "prompt": "hi", "think": True}]


def test_thoughts_can_be_hidden(swell: Swell, answers: Answers, asked: Asked) -> None:
    answers["POST /api/generate"] = (200, THOUGHTS)
    assert swell("run", "m", "hi", "--hidethinking").stdout == "Hello\n\n"
    assert bodies(asked) == [{"model": "m", "prompt": "hi"}]


@pytest.mark.parametrize(
    ("flag", "sent"), [("true", True), ("", True), ("false", False), ("low", "low"), ("max", "max")]
)
def test_how_hard_to_think(swell: Swell, answers: Answers, asked: Asked, flag: str, sent: object) -> None:
    answers["POST /api/generate"] = (200, generated("Hello"))
    swell("run", f"--think={flag}", "m", "hi", "--", "--think")
    assert bodies(asked) == [{"model": "m", "prompt": "hi --think", "think": sent}]


def test_a_wrong_level(swell: Swell, asked: Asked) -> None:
    result = swell("run", "m", "hi", "--think=hard")
    assert (result.returncode, asked) == (1, [])
    reason = 'invalid value for --think: "hard" (must be true, false, high, medium, low, or max)'
    assert result.stderr == f"Error: {reason}\n"


def test_thoughts_that_break_off(swell: Swell, answers: Answers) -> None:
    answers["POST /api/generate"] = (200, '{"response":"","thinking":"Hm"}\n' + FAILED)
    result = swell("run", "m", "hi")
    assert (result.returncode, result.stdout, result.stderr) == (1, "Thinking...\nHm\n", "Error: out of memory\n")


def test_thoughts_are_grey_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.delenv("NO_COLOR", raising=False)
    pieces = [Chunk(thinking="Hm"), Chunk(response="Hi"), Chunk(thinking="Or")]
    Answer(wordwrap=False).show(piece for piece in pieces)
    grey, plain = "\x1b[90m", "\x1b[0m"
    block = f"{grey}Thinking...\nHm\n...done thinking.{plain}\n\n"
    assert screen.getvalue() == f"{block}Hi\n{grey}Thinking...\nOr\n\n{plain}"
