"""Where calls end that hold the tags they stand between, and how much work it is to find out."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from swell.text.parsing.calls import Tools
from swell.text.parsing.enclosed import JSON_QUOTES, PYTHON_QUOTES, Enclosed, Enclosure, Quotes
from swell.text.parsing.parts import ToolCall
from swell.text.parsing.python import BareList

SIZE = 20_000


class Counted:
    """A pattern that counts the characters which it searched."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self.characters = 0

    def search(self, text: str, position: int) -> re.Match[str] | None:
        found = self._pattern.search(text, position)
        self.characters += (found.end() if found else len(text)) - position
        return found

    def finditer(self, text: str, position: int) -> Iterator[re.Match[str]]:
        self.characters += len(text) - position
        return self._pattern.finditer(text, position)


def feed(block: Enclosed | BareList, output: str, piece: int = 4) -> int:
    """How many characters the block settles, of an output that comes in pieces."""
    for end in range(piece, len(output) + piece, piece):
        if (found := block.look(output[:end], is_final=end >= len(output))) is not None:
            return found.length
    raise AssertionError("a block settles everything in the end")


@pytest.mark.parametrize("filling", ["x", "<end>", '\\"', "<en", '"<end>"', "'"])
@pytest.mark.parametrize("quotes", [(JSON_QUOTES,), PYTHON_QUOTES, (Quotes("<v>", "</v>"),)])
@pytest.mark.parametrize("readable", [True, False])
def test_each_character_is_looked_at_once(
    filling: str, quotes: tuple[Quotes, ...], readable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the beginnings of tags, which are looked at again with the next piece; and reading is tried 5 times."""
    reads: list[int] = []

    def read(body: str, _tools: Tools) -> list[ToolCall]:
        reads.append(len(body))
        return [ToolCall("f", {})] if readable else []

    opening, closing = quotes[0].opening, quotes[0].closing
    output = f"<begin>{opening}{filling * (SIZE // len(filling))}{closing}<end>"
    counted: dict[re.Pattern[str], Counted] = {}
    pattern = Enclosed._pattern
    monkeypatch.setattr(Enclosed, "_pattern", lambda self: counted.setdefault(pattern(self), Counted(pattern(self))))
    feed(Enclosed(Enclosure("<begin>", "<end>", quotes, read), {}), output)
    assert sum(one.characters for one in counted.values()) <= len(output) * (1 + len("<end>") / 4)
    assert len(reads) <= 5


@pytest.mark.parametrize("filling", ["x", "[", "'", '\\"', "(a)"])
def test_a_bare_list_is_looked_at_once(filling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: Any = Counted(BareList._MARKS)
    monkeypatch.setattr(BareList, "_MARKS", counted)
    output = '[f(a="' + filling * (SIZE // len(filling)) + '")]'
    tools: dict[str, dict[str, Any]] = {"f": {}}
    block = BareList(tools, otherwise=Enclosed(Enclosure("", "<end>", (JSON_QUOTES,), lambda *_: []), tools))
    assert feed(block, output) == len(output)
    assert counted.characters <= 2 * len(output)
