import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from swell.cli.answer import Answer, timings
from swell.cli.chat import converse
from swell.cli.client import Client
from swell.cli.replies import Chunk
from swell.cli.run import Run
from swell.settings import parse_host

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]
Swell = Callable[..., subprocess.CompletedProcess[str]]

LOADED = '{"model":"m","response":"","done":true,"done_reason":"load"}'
TIMES = {
    "total_duration": 1234567891,
    "load_duration": 12300000,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 130000000,
    "eval_count": 259,
    "eval_duration": 4232700000,
}
FAILED = '{"response":"","done":true,"done_reason":"error","eval_count":1,"error":"out of memory"}\n'
VERBOSE = """\
total duration:       1.234567891s
load duration:        12.3ms
prompt eval count:    26 token(s)
prompt eval duration: 130ms
prompt eval rate:     200.00 tokens/s
eval count:           259 token(s)
eval duration:        4.2327s
eval rate:            61.19 tokens/s
"""


def generated(*pieces: str, **final: object) -> str:
    chunks = [{"model": "m", "response": piece, "done": False} for piece in pieces]
    return "".join(json.dumps(line) + "\n" for line in [*chunks, {"response": "", "done": True, **final}])


def said(*pieces: str) -> str:
    chunks = [{"message": {"role": "assistant", "content": piece}, "done": False} for piece in pieces]
    done = {"message": {"role": "assistant", "content": ""}, "done": True, **TIMES}
    return "".join(json.dumps(line) + "\n" for line in [*chunks, done])


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


def converse_with(address: str, *typed: str | type[BaseException]) -> None:
    """Hold a conversation in which `typed` is typed; an exception stands for its key."""
    keys = iter((*typed, EOFError))

    def read_line(prompt: str) -> str:
        key = next(keys)
        if isinstance(key, str):
            return key
        raise key

    with Client(parse_host(address)) as client:
        converse(client, Run("m"), read_line)


def test_a_conversation_keeps_its_history(
    address: str, answers: Answers, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    answers["POST /api/generate"] = (200, LOADED)
    answers["POST /api/chat"] = (200, said("I'm", " fine"))
    converse_with(
        address, "How are you?", "", KeyboardInterrupt, "And now?", "/clear", "/nope x", "Hi", "/bye", "never"
    )
    first = {"role": "user", "content": "How are you?"}
    answer = {"role": "assistant", "content": "I'm fine"}
    assert [body.get("messages") for _, body in asked] == [
        None,
        [first],
        [first, answer, {"role": "user", "content": "And now?"}],
        [{"role": "user", "content": "Hi"}],
    ]
    assert capsys.readouterr().out == (
        "I'm fine\n\n"
        "\nUse Ctrl + d or /bye to exit.\n"
        "I'm fine\n\n"
        "Cleared session context\n"
        "Unknown command '/nope'. Type /? for help\n"
        "I'm fine\n\n"
    )


def test_a_conversation_is_told_to_think(
    address: str, answers: Answers, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    thought = '{"message":{"role":"assistant","content":"","thinking":"Hm\\n"},"done":false}\n'
    answers["POST /api/generate"] = (200, LOADED)
    answers["POST /api/chat"] = (200, thought + said("Hi"))
    converse_with(
        address, "a", "/set think", "b", "/set think low", "c", "/set think hard", "/set nothink", "d", "/set x"
    )
    assert [body.get("think") for _, body in asked] == [None, None, True, "low", False]
    assert asked[2][1]["messages"][1] == {"role": "assistant", "content": "Hi", "thinking": "Hm\n"}
    out, err = capsys.readouterr()
    turn = "Thinking...\nHm\n...done thinking.\n\nHi\n\n"
    think, nothink = "Set 'think' mode.\n", "Set 'nothink' mode.\n"
    unknown = "Unknown command '/set x'. Type /? for help\n\n"
    assert out == turn + think + turn + think + turn + nothink + turn + unknown
    assert err.startswith('Error: invalid think value: "hard"')


def test_what_came_of_a_broken_answer_is_kept(
    address: str, answers: Answers, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    answers["POST /api/generate"] = (200, LOADED)
    answers["POST /api/chat"] = (200, said("Hel").splitlines()[0] + "\n" + FAILED)
    converse_with(address, "one", "two")
    assert [message["content"] for message in asked[2][1]["messages"]] == ["one", "Hel", "two"]
    assert capsys.readouterr().err == "Error: out of memory\n\n" * 2


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


def test_a_refused_turn_is_forgotten(
    address: str, answers: Answers, asked: Asked, capsys: pytest.CaptureFixture[str]
) -> None:
    answers["POST /api/generate"] = (200, LOADED)
    answers["POST /api/chat"] = (400, '{"error":"the prompt is longer than the context"}')
    converse_with(address, "one", "two")
    assert [body["messages"] for _, body in asked[1:]] == [
        [{"role": "user", "content": "one"}],
        [{"role": "user", "content": "two"}],
    ]
    assert capsys.readouterr().err == "Error: 400 Bad Request: the prompt is longer than the context\n\n" * 2


def test_on_a_terminal_an_interrupt_stops_only_the_answer(environment: dict[str, str], answers: Answers) -> None:
    answers["POST /api/generate"] = (200, LOADED)
    answers["POST /api/chat"] = (200, said("Hel").splitlines()[0] + "\n<hang>")
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "swell", "run", "m"]
    with subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, env={**environment, "TERM": "dumb"}
    ) as process:
        os.close(follower)
        seen = read_until(leader, b">>> ")
        os.write(leader, b"hi\n")
        seen += read_until(leader, b"Hel")
        process.send_signal(signal.SIGINT)
        seen += read_until(leader, b">>> ")
        os.write(leader, b"/bye\n")
        assert process.wait(20) == 0, seen
    os.close(leader)
    assert b"Traceback" not in seen


def read_until(descriptor: int, end: bytes) -> bytes:
    """What comes from a terminal up to `end`."""
    seen, deadline_s = b"", time.monotonic() + 20
    while not seen.endswith(end):
        ready, _, _ = select.select([descriptor], [], [], deadline_s - time.monotonic())
        assert ready, seen
        seen += os.read(descriptor, 1)
    return seen
