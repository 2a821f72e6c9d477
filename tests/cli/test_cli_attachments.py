import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.cli.attachments import attach
from swell.cli.client import Client
from swell.cli.errors import UsageError
from swell.host import parse_host

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]
Attach = Callable[[str], tuple[str, list[str]]]


@pytest.fixture
def attached(address: str, answers: Answers) -> Attach:
    """Attach what a text names, for a model that sees."""
    answers["POST /api/show"] = (200, '{"capabilities":["completion","vision"]}')

    def attach_all(text: str) -> tuple[str, list[str]]:
        with Client(parse_host(address)) as client:
            return attach(client, "m", text)

    return attach_all


@pytest.mark.parametrize("form", ["{}", "'{}'", '"{}"'])
def test_files_are_found_as_terminals_type_them(
    attached: Attach, tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a b.PNG").write_bytes(b"one")
    (tmp_path / "c.wav").write_bytes(b"two")
    first = str(tmp_path / "a b.PNG")
    named = form.format(first if form != "{}" else first.replace(" ", "\\ "))
    text, contents = attached(f"What is {named} and {tmp_path}/c.wav")
    assert text == "What is  and"
    assert list(map(base64.b64decode, contents)) == [b"one", b"two"]
    assert capsys.readouterr().out == f"Added image '{first}'\nAdded image '{tmp_path}/c.wav'\n"


def test_what_is_no_file_stays(attached: Attach, tmp_path: Path, asked: Asked) -> None:
    (tmp_path / "a.txt").touch()
    for text in (
        f"see {tmp_path}/a.txt",
        f"see {tmp_path}/none.png",
        "http://h/x.png",
        "a/b.jpg",
        f"{tmp_path}",
        f"/{'a' * 300}.png",
    ):
        assert attached(text) == (text, [])
    assert asked == []  # nobody had to be asked what the model can do


def test_models_that_only_read_get_the_path(attached: Attach, answers: Answers, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    answers["POST /api/show"] = (200, '{"capabilities":["completion"]}')
    assert attached(f"{tmp_path}/a.png") == (f"{tmp_path}/a.png", [])


def test_a_file_that_cant_be_read_is_said(attached: Attach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").touch()

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UsageError, match=r"couldn't attach .*a\.png: Permission denied"):
        attached(f"{tmp_path}/a.png")


@given(st.text(max_size=200) | st.text("/.~'\"\\ ajpng\0", max_size=60))
def test_no_text_is_too_strange(text: str) -> None:
    with Client(parse_host("127.0.0.1:1")) as client:
        assert attach(client, "m", text) == (text, [])
