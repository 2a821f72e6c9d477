"""`create`: from a Modelfile and the files that it names to what the server is asked for."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.wire import steps

from swell.cli.create import read_modelfile
from swell.cli.errors import UsageError
from swell.cli.sources import Sources, find_sources
from swell.modelfile.parsing import parse_modelfile

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]
Swell = Callable[..., subprocess.CompletedProcess[str]]

WEIGHTS = b"GGUF" + bytes(3 << 20)
LORA = b"GGUF lora"
DRAFT = b"GGUF draft"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def takes_all(answers: Answers) -> None:
    """A server that takes all files."""
    for data in (WEIGHTS, LORA, DRAFT):
        answers[f"POST /api/blobs/{digest(data)}"] = (201, "")
    answers["POST /api/create"] = (200, steps("parsing GGUF", f"creating new layer {digest(WEIGHTS)}", "success"))


def test_a_model_of_files(swell: Swell, answers: Answers, asked: Asked, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "weights.gguf").write_bytes(WEIGHTS)
    (folder / "lora.gguf").write_bytes(LORA)
    (folder / "sub" / "d.gguf").write_bytes(DRAFT)
    (folder / "sub" / "My.Modelfile").write_text(
        'FROM ./weights.gguf\nADAPTER ../lora.gguf\nSYSTEM "Be\nkind."\nTEMPLATE {{ .Prompt }}\nPARAMETER stop a\n'
        "PARAMETER stop b\nPARAMETER top_k 3\nDRAFT ./d.gguf\nPARAMETER mirostat 1\nLICENSE MIT\nLICENSE BSD\n"
        "MESSAGE user hi\nMESSAGE assistant ho\nRENDERER r\nPARSER p\nREQUIRES v0.14.0\n"
    )
    result = swell("create", "m", "-f", "sub/My.Modelfile", "-q", "q8_0")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [
        "warning: parameter mirostat is deprecated",
        "hashing weights.gguf",
        "copying weights.gguf",
        "hashing lora.gguf",
        "copying lora.gguf",
        "hashing d.gguf",
        "copying d.gguf",
        "parsing GGUF",
        f"creating new layer {digest(WEIGHTS)}",
        "success",
    ]
    assert asked == [
        (f"POST /api/blobs/{digest(WEIGHTS)}", WEIGHTS),
        (f"POST /api/blobs/{digest(LORA)}", LORA),
        (f"POST /api/blobs/{digest(DRAFT)}", DRAFT),
        (
            "POST /api/create",
            {
                "model": "m",
                "quantize": "q8_0",
                "files": {"weights.gguf": digest(WEIGHTS)},
                "adapters": {"lora.gguf": digest(LORA)},
                "draft_files": {"d.gguf": digest(DRAFT)},
                "template": "{{ .Prompt }}",
                "system": "Be\nkind.",
                "renderer": "r",
                "parser": "p",
                "requires": "0.14.0",
                "license": ["MIT", "BSD"],
                "parameters": {"stop": ["a", "b"], "top_k": 3},
                "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}],
            },
        ),
    ]


def test_a_model_of_a_model(swell: Swell, asked: Asked, folder: Path) -> None:
    (folder / "Modelfile").write_text("FROM llama3.2:1b\nSYSTEM x")
    assert swell("create", "m").returncode == 0
    assert asked == [("POST /api/create", {"model": "m", "from": "llama3.2:1b", "system": "x"})]


@pytest.mark.parametrize("flag", [("-f", "my"), ("-f=my",), ("-fmy",), ("--file", "my"), ("--file=my",)])
def test_the_file_may_be_given_in_any_form(swell: Swell, asked: Asked, folder: Path, flag: tuple[str, ...]) -> None:
    (folder / "my").write_text("FROM llama3.2")
    assert swell("create", *flag, "m").returncode == 0
    assert asked == [("POST /api/create", {"model": "m", "from": "llama3.2"})]


def test_what_the_server_has_is_not_copied(swell: Swell, answers: Answers, asked: Asked, folder: Path) -> None:
    """Without a Modelfile, what is here is meant."""
    (folder / "weights.gguf").write_bytes(WEIGHTS)
    answers[f"HEAD /api/blobs/{digest(WEIGHTS)}"] = (200, "")
    assert swell("create", "m").stderr.splitlines()[:2] == ["hashing weights.gguf", "parsing GGUF"]
    assert asked == [("POST /api/create", {"model": "m", "files": {"weights.gguf": digest(WEIGHTS)}})]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("m", "-f", "missing"), "specified Modelfile wasn't found"),
        (("m",), "no Modelfile or safetensors files found"),
        (("m", "-f", "bad"), "(line 2): unknown parameter 'tempo'"),
        (("m", "-f", "weights"), 'weights is no Modelfile but a model: write "FROM weights" into a Modelfile'),
        (("m", "-f", "lost"), "no such file: ./weights.gguf"),
        (("a b", "-f", "good"), "invalid model name"),
    ],
)
def test_what_is_refused_before_anything_is_sent(
    swell: Swell, asked: Asked, folder: Path, arguments: tuple[str, ...], error: str
) -> None:
    (folder / "bad").write_text("FROM m\nPARAMETER tempo 1")
    (folder / "lost").write_text("FROM ./weights.gguf")
    (folder / "good").write_text("FROM m")
    (folder / "weights").write_bytes(WEIGHTS)
    result = swell("create", *arguments)
    assert (result.returncode, result.stdout, result.stderr, asked) == (1, "", f"Error: {error}\n", [])


def test_a_server_that_refuses(swell: Swell, answers: Answers, folder: Path) -> None:
    (folder / "weights.gguf").write_bytes(WEIGHTS)
    answers[f"POST /api/blobs/{digest(WEIGHTS)}"] = (507, '{"error":"no space left"}')
    assert swell("create", "m").stderr.splitlines()[-1] == "Error: no space left"
    answers[f"POST /api/blobs/{digest(WEIGHTS)}"] = (201, "")
    answers["POST /api/create"] = (200, steps("parsing GGUF", {"error": "supplied file was not in GGUF format"}))
    result = swell("create", "m")
    assert (result.returncode, result.stderr.splitlines()[-1]) == (1, "Error: supplied file was not in GGUF format")


def test_quantizing_has_a_bar(swell: Swell, answers: Answers, folder: Path) -> None:
    (folder / "Modelfile").write_text("FROM m")
    lines = [
        {"status": "quantizing F16 model to Q8_0", "digest": digest(WEIGHTS), "total": 9, "completed": completed}
        for completed in range(10)
    ]
    answers["POST /api/create"] = (200, steps(*lines, "success"))
    assert swell("create", "m").stderr == "quantizing F16 model to Q8_0\nsuccess\n"


def test_files_of_one_name_are_all_copied_and_each_only_once(swell: Swell, asked: Asked, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "model.gguf").write_bytes(WEIGHTS)
    (folder / "sub" / "model.gguf").write_bytes(LORA)
    (folder / "Modelfile").write_text("FROM model.gguf\nFROM sub/model.gguf\nADAPTER sub/model.gguf")
    result = swell("create", "m")
    assert result.stderr.splitlines()[:5] == [*["hashing model.gguf", "copying model.gguf"] * 2, "parsing GGUF"]
    assert asked[-1][1] == {
        "model": "m",
        "files": {"model.gguf": digest(WEIGHTS), "2/model.gguf": digest(LORA)},
        "adapters": {"model.gguf": digest(LORA)},
    }


def sources(text: str, folder: Path) -> Sources:
    return find_sources(parse_modelfile(text.encode()), folder)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).touch()


def test_paths_start_from_the_modelfile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))
    touch(folder, "a.gguf", "home/b.gguf", "elsewhere/Modelfile")
    (folder / "elsewhere" / "Modelfile").write_text("FROM ../a.gguf")
    assert find_sources(*read_modelfile(Path("elsewhere/Modelfile"))).files == (
        ("a.gguf", folder / "elsewhere" / ".." / "a.gguf"),
    )
    assert sources("FROM ~/b.gguf", folder).files == (("b.gguf", folder / "home" / "b.gguf"),)
    assert sources(f"FROM {folder}/a.gguf", Path("/")).files == (("a.gguf", folder / "a.gguf"),)
    assert sources("FROM a.gguf:latest", folder) == Sources("a.gguf:latest", (), (), ())


def test_a_model_and_its_projector(folder: Path) -> None:
    touch(folder, "model.gguf", "vision/model.gguf")
    found = sources("FROM ./model.gguf\nFROM ./vision/model.gguf\nFROM model.gguf", folder)
    assert [name for name, _ in found.files] == ["model.gguf", "2/model.gguf"]


def test_a_model_in_parts(folder: Path) -> None:
    names = [f"big-{number:05d}-of-00003.gguf" for number in (1, 2, 3)]
    touch(folder, *names)
    assert [name for name, _ in sources(f"FROM {names[0]}", folder).files] == names
    (folder / names[1]).unlink()
    with pytest.raises(UsageError, match=r"a part of the model is missing: .*-00002-of-00003\.gguf"):
        sources(f"FROM {names[0]}", folder)


@pytest.mark.parametrize(
    ("there", "names"),
    [
        (("b.gguf", "a.gguf", "config.json", "readme.md"), ["a.gguf", "b.gguf"]),
        (("a.gguf", "model.safetensors"), ["a.gguf"]),
    ],
)
def test_a_folder(folder: Path, there: tuple[str, ...], names: list[str]) -> None:
    touch(folder, *(f"m/{name}" for name in there))
    assert [name for name, _ in sources("FROM m", folder).files] == names
    assert [name for name, _ in sources("FROM x\nADAPTER ./m", folder).adapters] == names


@pytest.mark.parametrize(
    "name",
    [
        "model-00001-of-00002.safetensors",
        "consolidated.safetensors",
        "pytorch_model.bin",
        "weights.BIN",
        "consolidated.00.pth",
    ],
)
def test_what_must_be_converted(folder: Path, name: str) -> None:
    touch(folder, f"m/{name}", "x.safetensors")
    for text in ("FROM m", "FROM ./x.safetensors", "FROM a\nADAPTER m"):
        with pytest.raises(UsageError, match=r"convert_hf_to_gguf\.py"):
            sources(text, folder)


@pytest.mark.parametrize("text", ["FROM ./a", "FROM ../a", "FROM /nowhere/a", "FROM ~/nowhere", "FROM a.gguf"])
def test_what_can_only_be_a_path_must_be_there(folder: Path, text: str) -> None:
    with pytest.raises(UsageError, match="no such file"):
        sources(text, folder)
    with pytest.raises(UsageError, match="no such file: a"):
        sources("FROM m\nADAPTER a", folder)


def test_names_that_no_path_can_have(folder: Path) -> None:
    assert sources(f'FROM "{"x" * 5000}"', folder).base == "x" * 5000
    assert sources('FROM "x\0y"', folder).base == "x\0y"


def test_a_name_that_is_no_utf8_can_be_sent(folder: Path) -> None:
    touch(folder, "m/" + os.fsdecode(b"\xff.gguf"))
    assert [name for name, _ in sources("FROM m", folder).files] == ["\ufffd.gguf"]
