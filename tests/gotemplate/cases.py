"""The cases on which the interpreter is compared with the real text/template, and what that writes.

`expected/` holds what it wrote, one line for each case of a group in its order; `python -m tests.gotemplate.regenerate`
makes it anew, which takes Go. The tests need no Go.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tests.gotemplate import chats, generating, written

EXPECTED = Path(__file__).parent / "expected"


class Chat(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a conversation's prompt is made of, as a request has it; or, with a suffix, that of a gap."""

    messages: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    think: bool | str | None = None
    prompt: str = ""
    suffix: str = ""


class Case(NamedTuple):
    """A template, and data or a chat for it."""

    template: str
    data: Any = None
    chat: Chat | None = None

    def for_go(self) -> dict[str, Any]:
        """The case as the program in Go reads it."""
        if self.chat is None:
            return {"template": self.template, "data": self.data}
        return {"template": self.template, "chat": msgspec.to_builtins(self.chat)}


class Outcome(msgspec.Struct):
    """What the real text/template did with a case."""

    expected: str | None = None
    fails: bool = False


GROUPS = {
    "written": [Case(template, data) for template, data in written.CASES],
    "generated": [Case(template, data) for template, data in generating.cases()],
    "families": [
        Case(template, chat=Chat(**chat)) for template in chats.TEMPLATES.values() for chat in chats.CHATS.values()
    ],
}


def outcomes(group: str) -> list[Outcome]:
    """What is expected of the cases of a group."""
    return msgspec.json.decode((EXPECTED / f"{group}.json").read_bytes(), type=list[Outcome])


def go_input(group: str) -> str:
    """The cases of a group for the program in Go."""
    return json.dumps([case.for_go() for case in GROUPS[group]])
