import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swell.cli.replies import ModelDetails, Shown, TensorRow
from swell.cli.show import format_value, sections

Answers = dict[str, tuple[int, str]]
Swell = Callable[..., subprocess.CompletedProcess[str]]

INFO = {
    "general.architecture": "llama",
    "general.parameter_count": 3_212_749_888,
    "llama.context_length": 131072,
    "llama.embedding_length": 3072,
    "tokenizer.ggml.add_bos_token": False,
    "tokenizer.ggml.tokens": None,
}


def test_sections() -> None:
    shown = Shown(
        details=ModelDetails(family="llama", parameter_size="3.2B", quantization_level="Q4_K_M"),
        model_info=INFO,
        capabilities=["completion", "tools"],
        parameters='stop                           "<|im_end|>"\ntemperature                    0.7',
        system="You are\n\n a pirate.",
        license="MIT\n\nCopyright someone\n\nPermission",
    )
    assert sections(shown, verbose=False) == (
        "  Model\n"
        "    architecture        llama     \n"
        "    parameters          3.2B      \n"
        "    context length      131072    \n"
        "    embedding length    3072      \n"
        "    quantization        Q4_K_M    \n"
        "\n"
        "  Capabilities\n"
        "    completion    \n"
        "    tools         \n"
        "\n"
        "  Parameters\n"
        '    stop           "<|im_end|>"    \n'
        "    temperature    0.7             \n"
        "\n"
        "  System\n"
        "    You are      \n"
        "    a pirate.    \n"
        "\n"
        "  License\n"
        "    MIT                  \n"
        "    Copyright someone    \n"
        "    ...                  \n"
        "\n"
    )


def test_verbose_adds_metadata_and_tensors() -> None:
    shown = Shown(model_info=INFO, tensors=[TensorRow("output.weight", "Q8_0", [576, 49152])])
    text = sections(shown, verbose=True)
    assert "    parameters          3.2B      \n" in text
    assert "    tokenizer.ggml.add_bos_token    false         \n    tokenizer.ggml.tokens           null" in text
    assert "  Tensors\n    output.weight    Q8_0    [576 49152]    \n" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (1e-05, "1e-05"),
        ("x", "x"),
        ([], "[]"),
        ([1, 2, 3], "[1 2 3]"),
        ([1, 2, 3, 4, 5, 6], "[1 2 3 ...+3 more]"),
        (["<|endoftext|>", "<|im_start|>"], "[<|endoftext|> ...+1 more]"),
    ],
)
def test_metadata_values(value: object, text: str) -> None:
    assert format_value(value) == text


def test_show_one_thing(swell: Swell, answers: Answers, asked: list[tuple[str, Any]]) -> None:
    answers["POST /api/show"] = (200, json.dumps({"model_info": {}, "details": {}, "template": "{{ .Prompt }}"}))
    result = swell("show", "m", "--template")
    assert (result.returncode, result.stdout) == (0, "{{ .Prompt }}\n")
    assert asked == [("POST /api/show", {"model": "m", "verbose": False})]


def test_show_takes_one_flag_only(swell: Swell) -> None:
    result = swell("show", "m", "--template", "--system")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: only one of '--license', '--modelfile',")


def test_show_of_an_unknown_model_has_no_status_in_its_error(swell: Swell, answers: Answers) -> None:
    answers["POST /api/show"] = (404, '{"error":"model \'nope:latest\' not found"}')
    result = swell("show", "nope")
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "Error: model 'nope:latest' not found\n")


def test_a_file_is_sent_as_its_absolute_path(
    swell: Swell, answers: Answers, asked: list[tuple[str, Any]], tmp_path: Path
) -> None:
    answers["POST /api/show"] = (200, '{"model_info":{}}')
    (tmp_path / "weights").touch()
    swell("show", str(tmp_path / "." / "weights"))
    swell("show", "missing.GGUF")
    assert [body["model"] for _, body in asked] == [str(tmp_path / "weights"), str(Path.cwd() / "missing.GGUF")]


def test_stop_unloads(swell: Swell, answers: Answers, asked: list[tuple[str, Any]]) -> None:
    answers["POST /api/show"] = (200, '{"model_info":{}}')
    answers["POST /api/generate"] = (200, '{"model":"m","response":"","done":true,"done_reason":"unload"}')
    result = swell("stop", "m")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert asked[1] == ("POST /api/generate", {"model": "m", "keep_alive": 0, "stream": False})


def test_stop_of_an_unknown_model(swell: Swell, answers: Answers) -> None:
    answers["POST /api/show"] = (404, '{"error":"model \'x\' not found"}')
    result = swell("stop", "x")
    assert (result.returncode, result.stderr) == (1, 'Error: couldn\'t find model "x" to stop\n')
