import subprocess
from collections.abc import Callable
from typing import Any

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]
Swell = Callable[..., subprocess.CompletedProcess[str]]


def test_a_copy(swell: Swell, answers: Answers, asked: Asked) -> None:
    answers["POST /api/copy"] = (200, "")
    result = swell("cp", "m", "me/m:2")
    assert (result.returncode, result.stdout, result.stderr) == (0, "copied 'm' to 'me/m:2'\n", "")
    assert asked == [("POST /api/copy", {"source": "m", "destination": "me/m:2"})]


def test_a_copy_of_nothing(swell: Swell, answers: Answers) -> None:
    answers["POST /api/copy"] = (404, '{"error":"model \\"m\\" not found"}')
    result = swell("cp", "m", "n")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", 'Error: model "m" not found\n')


def test_models_are_unloaded_and_deleted(swell: Swell, answers: Answers, asked: Asked) -> None:
    answers["POST /api/generate"] = (200, '{"response":"","done":true,"done_reason":"unload"}')
    answers["DELETE /api/delete"] = (200, "")
    result = swell("rm", "a", "b")
    assert (result.returncode, result.stdout, result.stderr) == (0, "deleted 'a'\ndeleted 'b'\n", "")
    assert asked == [
        ("POST /api/generate", {"model": "a", "keep_alive": 0, "stream": False}),
        ("DELETE /api/delete", {"model": "a"}),
        ("POST /api/generate", {"model": "b", "keep_alive": 0, "stream": False}),
        ("DELETE /api/delete", {"model": "b"}),
    ]


def test_a_model_that_cant_be_loaded_can_be_deleted(swell: Swell, answers: Answers) -> None:
    answers["POST /api/generate"] = (500, '{"error":"damaged"}')
    answers["DELETE /api/delete"] = (200, "")
    assert swell("rm", "a").stdout == "deleted 'a'\n"


def test_what_isnt_there_cant_be_deleted(swell: Swell, answers: Answers) -> None:
    answers["DELETE /api/delete"] = (404, '{"error":"model \'a\' not found"}')
    result = swell("rm", "a", "b")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "Error: model 'a' not found\n")
    assert swell("rm").stderr == "Error: requires at least 1 arg(s), only received 0\n"
