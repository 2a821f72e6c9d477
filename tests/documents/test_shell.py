"""How pages are carried out: what fails is noticed, what stays is ended."""

import os
from pathlib import Path

import psutil
import pytest
from tests.documents.pages import Block
from tests.documents.shell import TOO_LONG, run, script

HOST = "127.0.0.1:1"


def block(text: str, language: str = "sh", comment: str = "") -> Block:
    return Block("page.md", 1, language, comment, text)


@pytest.mark.parametrize(
    ("blocks", "code", "printed"),
    [
        ([block("echo one\n"), block("echo two # words\n")], 0, "one\n# page.md:1\ntwo\n"),
        ([block("false\necho two\n")], 1, "failed: false\n"),
        ([block("false | cat\n")], 1, "failed: cat\n"),
        ([block("export A=4\n"), block("echo $A\n")], 0, "4\n"),
        ([block("import sys\nsys.exit(3)\n", "python")], 3, ""),
        ([block("FROM x\n", "modelfile"), block("cat Modelfile\n")], 0, "FROM x\n"),
        ([block("$ echo one\nsomething else\n", "console")], 0, "one\n"),
        ([block("$ bash -c \"read -p '>>> ' A; echo $A-$A\"\n>>> two\nno\n", "console")], 0, ""),
        ([block("false\n", comment="not run: it would fail"), block("false\n", "text")], 0, ""),
        ([block("echo http://127.0.0.1:11434/x localhost:11434\n")], 0, f"http://{HOST}/x {HOST}\n"),
    ],
)
def test_blocks_are_carried_out(tmp_path: Path, blocks: list[Block], code: int, printed: str) -> None:
    done = run(script(blocks, HOST), tmp_path, os.environ, limit_s=60)
    assert (done.returncode, printed in done.stdout.decode()) == (code, True), done.stdout


def test_what_stays_is_ended(tmp_path: Path) -> None:
    stays = block("sleep 1000 # for long\n", comment="run: stays")
    done = run(script([stays, block("echo $! > pid\n")], HOST), tmp_path, os.environ, limit_s=60)
    assert done.returncode == 0, done.stdout
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_what_takes_too_long_is_ended_and_has_said_how_far_it_came(tmp_path: Path) -> None:
    done = run(script([block("echo one\n"), block("sleep 1000\n")], HOST), tmp_path, os.environ, limit_s=3)
    assert done.returncode == TOO_LONG
    assert b"one\n" in done.stdout
