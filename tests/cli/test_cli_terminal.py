import os
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.cli.terminal import CTRL_C, CTRL_D, UP, Terminal
from tests.cli.wire import LOADED, generated, said

from swell.cli.keyboard import history_file

Answers = dict[str, tuple[int, str]]
Asked = list[tuple[str, Any]]
Environment = dict[str, str]

HANGS = said("Hel").splitlines()[0] + "\n<hang>"


@pytest.fixture(autouse=True)
def model(answers: Answers) -> None:
    """A model that can be loaded, and says hi."""
    answers["POST /api/generate"] = (200, LOADED)
    answers["POST /api/chat"] = (200, said("Hi"))


def users(asked: Asked) -> list[str]:
    """What the user has said in the last turn."""
    return [message["content"] for message in asked[-1][1]["messages"] if message["role"] == "user"]


def test_an_interrupt_stops_only_the_answer(environment: Environment, answers: Answers, asked: Asked) -> None:
    answers["POST /api/chat"] = (200, HANGS)
    with Terminal("run", "m", environment=environment) as terminal:
        terminal.until(">>> ")
        terminal.type("hi\r")
        terminal.until("Hel")
        terminal.type(CTRL_C)
        terminal.until(">>> ")
        answers["POST /api/chat"] = (200, said("Hi"))
        terminal.type("again\r")
        terminal.until("Hi\r\n\r\n>>> ")
        terminal.type("/bye\r")
        assert terminal.end() == 0
        assert terminal.echoes()
    assert [message["content"] for message in asked[-1][1]["messages"]] == ["hi", "Hel", "again"]


def test_an_interrupt_drops_what_was_typed(environment: Environment, asked: Asked) -> None:
    with Terminal("run", "m", environment=environment) as terminal:
        terminal.until(">>> ")
        terminal.type("not this")
        terminal.until("not this")
        terminal.type(CTRL_C)
        assert terminal.until(">>> ") == "\n>>> "
        terminal.type(CTRL_C)
        assert terminal.until(">>> ") == "\nUse Ctrl + d or /bye to exit.\n>>> "
        terminal.type('"""nor this\r')
        terminal.until("... ")
        terminal.type(CTRL_C)
        terminal.until(">>> ")
        terminal.type("this\r")
        terminal.until(">>> ")
        terminal.type(CTRL_D)
        assert terminal.end() == 0
        assert terminal.echoes()
    assert users(asked) == ["this"]


def test_lines_are_edited_and_remembered(environment: Environment, asked: Asked) -> None:
    history = Path(environment["XDG_STATE_HOME"]) / "swell" / "history"
    with Terminal("run", "m", environment=environment) as terminal:
        terminal.until(">>> ")
        terminal.type("world\x01hello \x1b[200~dear\nold \x1b[201~\r")  # Ctrl-A; then a paste
        terminal.until(">>> ")
        terminal.type("/set nohistory\r")
        terminal.until(">>> ")
        terminal.type("secret\r")
        terminal.until(">>> ")
        terminal.type("/set history\r")
        terminal.until(">>> ")
        terminal.type("last\r")
        terminal.until(">>> ")
        terminal.type("/bye\r")
        assert terminal.end() == 0
    assert users(asked) == ["hello dear\nold world", "secret", "last"]
    assert "secret" not in history.read_text()
    assert stat.S_IMODE(os.stat(history).st_mode) == 0o600
    with Terminal("run", "m", environment=environment) as terminal:
        terminal.until(">>> ")
        terminal.type(f"{UP}{UP}!\r")  # before it was /bye
        terminal.until(">>> ")
        assert users(asked) == ["last!"]
    unkept = {**environment, "OLLAMA_NOHISTORY": "1"}
    before = history.read_text()
    with Terminal("run", "m", environment=unkept) as terminal:
        terminal.until(">>> ")
        terminal.type(f"{UP}unkept\r")
        terminal.until(">>> ")
        assert users(asked) == ["unkept"]
    assert history.read_text() == before


def test_a_conversation_needs_no_place_for_its_history(environment: Environment, asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Terminal("run", "m", environment={**environment, "XDG_STATE_HOME": str(tmp_path / "file")}) as terminal:
        terminal.until(">>> ")
        terminal.type("hi\r")
        terminal.until("Hi\r\n\r\n>>> ")
        assert users(asked) == ["hi"]


def test_a_user_without_a_home_has_no_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/of")
    assert history_file() == Path("/home/of/.local/state/swell/history")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)  # a user that the system doesn't know
    assert history_file() is None


def test_an_answer_is_interrupted_without_a_trace(environment: Environment, answers: Answers) -> None:
    answers["POST /api/generate"] = (200, '{"thinking":"Hm"}\n<hang>')
    colourful = {name: value for name, value in environment.items() if name != "NO_COLOR"}
    with Terminal("run", "m", "hi", environment=colourful) as terminal:
        assert terminal.until("Hm") == "\x1b[90mThinking...\nHm"
        terminal.type(CTRL_C)
        assert terminal.until("\x1b[0m") == "^C\n\x1b[0m"
        assert terminal.end() == 0
        assert terminal.echoes()


def test_words_are_wrapped_at_the_width_of_the_terminal(environment: Environment, answers: Answers) -> None:
    text = "one two three four five"
    answers["POST /api/generate"] = (200, generated(text))
    with Terminal("run", "m", "hi", environment=environment, columns=20) as terminal:
        assert "\x1b[K\n" in terminal.until("five\r\n\r\n")
    with Terminal("run", "m", "--nowordwrap", "hi", environment=environment, columns=20) as terminal:
        assert terminal.until("\r\n\r\n") == f"{text}\n\n"
    with Terminal("run", "m", "hi", environment=environment) as terminal:
        assert terminal.until("\r\n\r\n") == f"{text}\n\n"


def test_an_empty_prompt_is_no_conversation(environment: Environment, asked: Asked) -> None:
    with Terminal("run", "m", "", environment=environment) as terminal:
        assert terminal.end() == 0
    assert asked[-1] == ("POST /api/generate", {"model": "m", "prompt": ""})


def test_a_model_for_embeddings_holds_no_conversation(environment: Environment, answers: Answers) -> None:
    answers["POST /api/show"] = (200, '{"model_info":{},"capabilities":["embedding"]}')
    with Terminal("run", "m", environment=environment) as terminal:
        assert "Usage: swell run m" in terminal.until('here"\r\n')
        assert terminal.end() == 1


def test_a_message_gets_more_lines_and_an_editor(environment: Environment, asked: Asked, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "%s and more\\nof it\\n" "$(cat "$2")" > "$2"\n')
    editor.chmod(0o700)
    history = Path(environment["XDG_STATE_HOME"]) / "swell" / "history"
    with Terminal("run", "m", environment={**environment, "VISUAL": f"{editor} -w"}) as terminal:
        terminal.until(">>> ")
        terminal.type("one\ntwo\r")  # Ctrl-J, then Return
        terminal.until("Hi\r\n\r\n>>> ")
        terminal.type("this\x07")
        terminal.until("of it")
        terminal.type("!\r")
        terminal.until("Hi\r\n\r\n>>> ")
        terminal.type(CTRL_D)
        assert terminal.end() == 0
    assert users(asked) == ["one\ntwo", "this and more\nof it!"]
    assert history.read_text() == "one\ntwo\nthis and more\nof it!\n"


def test_an_editor_that_fails_loses_nothing(environment: Environment, asked: Asked) -> None:
    with Terminal("run", "m", environment={**environment, "OLLAMA_EDITOR": "false"}) as terminal:
        terminal.until(">>> ")
        terminal.type("this\x07")
        terminal.until("Error: the editor failed")
        terminal.until(">>> this")
        terminal.type("\r")
        terminal.until("Hi\r\n\r\n>>> ")
    assert users(asked) == ["this"]
