"""`create`, `cp`, `rm` and `/save`, against a real server and the real model."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.terminal import Terminal
from tests.e2e.command import swell
from tests.e2e.server import MODEL, Server, running
from tests.tiny.speller import write_speller
from tests.tiny.split import split_gguf

TEXTS = {
    "SYSTEM": 'You are a "pirate".\n\n  Say """arr""" often. ',
    "TEMPLATE": "{{ .System }}\n{{ .Prompt }}",
    "LICENSE": '"Free"\n# for all\n',
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("commands")
    with running(folder / "log", {"OLLAMA_MODELS": str(folder / "models")}) as started:
        yield started


def create(server: Server, name: str, path: Path, *flags: str) -> list[str]:
    """What `create` says on its way."""
    made = swell("create", name, "-f", str(path), *flags, host=server.url)
    assert (made.returncode, made.stdout) == (0, ""), made.stderr
    return made.stderr.splitlines()


def listed(server: Server) -> set[str]:
    return {line.split()[0] for line in swell("list", host=server.url).stdout.splitlines()[1:]}


def shown(server: Server, name: str) -> dict[str, Any]:
    answer = server.ask("/api/show", model=name)
    return {
        key: answer.get(key)
        for key in ("system", "template", "parameters", "license", "messages", "details", "model_info", "capabilities")
    }


def test_a_model_from_its_file_to_its_end(server: Server, model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").symlink_to(model_path)
    path = tmp_path / "Modelfile"
    path.write_text(
        "FROM weights.gguf\nPARAMETER num_predict 4\nPARAMETER temperature 0\nSYSTEM You are a pirate.\n"
        "MESSAGE user 2+2?\nMESSAGE assistant 4\n"
    )
    steps = create(server, "pirate", path)
    assert steps[:3] == ["hashing weights.gguf", "copying weights.gguf", "parsing GGUF"]
    assert steps[-1] == "success"
    again = create(server, "pirate", path)
    assert "copying weights.gguf" not in again

    ran = swell("run", "pirate", "Who are you?", "--verbose", host=server.url)
    assert "eval count:           4 token(s)" in ran.stderr
    assert swell("cp", "pirate", "me/pirate:2", host=server.url).stdout == "copied 'pirate' to 'me/pirate:2'\n"
    assert {"pirate:latest", "me/pirate:2"} <= listed(server)
    assert swell("run", "me/pirate:2", "Who are you?", host=server.url).stdout == ran.stdout
    removed = swell("rm", "pirate", "me/pirate:2", host=server.url)
    assert (removed.returncode, removed.stdout) == (0, "deleted 'pirate'\ndeleted 'me/pirate:2'\n")
    assert listed(server) == {MODEL}
    assert server.http.get("/api/ps").json()["models"] == []
    gone = swell("rm", "pirate", host=server.url)
    assert (gone.returncode, gone.stderr) == (1, "Error: model 'pirate' not found\n")


def test_what_show_tells_makes_the_same_model(server: Server, model_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "Modelfile"
    path.write_text(
        f"FROM {model_path}\nDRAFT {model_path}\n"
        + "".join(f'{name} """{text}"""\n' for name, text in TEXTS.items())
        + 'PARAMETER stop "<a>\n"\nPARAMETER stop """"b\nc""""\nPARAMETER top_k 7\nPARAMETER use_mmap false\n'
        + 'PARAMETER min_p 0.05\nMESSAGE user " hi"\nMESSAGE assistant """He said "ho"\nand left."""\n'
        + "RENDERER qwen3\nPARSER qwen3\nREQUIRES 0.14.0\n"
    )
    create(server, "first", path)
    assert shown(server, "first")["system"] == TEXTS["SYSTEM"]
    path.write_text(swell("show", "first", "--modelfile", host=server.url).stdout)
    create(server, "second", path)
    assert shown(server, "second") == shown(server, "first")
    rows = {row["name"]: row for row in server.http.get("/api/tags").json()["models"]}
    assert rows["first:latest"]["size"] == rows["second:latest"]["size"]


def test_a_model_in_parts_is_uploaded_whole(server: Server, tmp_path: Path) -> None:
    write_speller(tmp_path / "whole.gguf")
    parts = split_gguf(tmp_path / "whole.gguf", 3)
    (tmp_path / "Modelfile").write_text(f"FROM ./{parts[0].name}")
    steps = create(server, "split", tmp_path / "Modelfile")
    assert [step for step in steps if step.startswith("copying")] == [f"copying {part.name}" for part in parts]
    texts = [
        server.generate("x", predict=8, model=name)["response"] for name in ("split", str(tmp_path / "whole.gguf"))
    ]
    assert texts[0] == texts[1]


def test_what_the_server_refuses(server: Server, tmp_path: Path, model_path: Path) -> None:
    path = tmp_path / "Modelfile"
    for text, flags, error in (
        ("FROM ./no.gguf", (), "Error: supplied file was not in GGUF format"),
        (f"FROM {model_path}", ("-q", "q4_1"), "Error: 400 Bad Request: unsupported quantization type Q4_1"),
        (f"FROM {MODEL}", ("-q", "q8_0"), "quantization is only supported for F16, BF16 and F32 models"),
    ):
        (tmp_path / "no.gguf").write_text("no weights")
        path.write_text(text)
        refused = swell("create", "refused", "-f", str(path), *flags, host=server.url)
        assert refused.returncode == 1
        assert error in refused.stderr.splitlines()[-1]
    assert "refused:latest" not in listed(server)


def test_a_conversation_is_saved(server: Server) -> None:
    environment = {**os.environ, "OLLAMA_HOST": server.url, "OLLAMA_NOHISTORY": "1"}
    with Terminal("run", MODEL, environment=environment, columns=200) as terminal:
        terminal.until(">>> ")
        for line, told in {
            "/set parameter num_predict 2": "Set parameter",
            "/set system You are a pirate.": "Set system message.",
            "Say hello.": "\n\n",
            "/save saved": "Created new model 'saved'",
            "/save a:b:c": "",
            "/load saved": "Loading model 'saved'",
        }.items():
            terminal.type(f"{line}\r")
            assert told in terminal.until(">>> ")
        terminal.type("/bye\r")
        assert terminal.end() == 0
    saved = shown(server, "saved")
    assert (saved["system"], saved["parameters"].split()) == ("You are a pirate.", ["num_predict", "2"])
    assert [message["role"] for message in saved["messages"]] == ["user", "assistant"]
    assert saved["messages"][0]["content"] == "Say hello."
    assert swell("rm", "saved", host=server.url).returncode == 0
