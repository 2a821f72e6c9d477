"""Texts of several lines, between three quotes."""

from collections.abc import Callable

QUOTES = '"""'
PROMPT = "... "


def complete(text: str, read_line: Callable[[str], str]) -> str:
    """All of a text that may begin with three quotes, without them; more lines are read up to the next three.

    `read_line` gets the prompt to show. What it raises comes through.
    """
    if not text.startswith(QUOTES):
        return text
    lines = [text.removeprefix(QUOTES)]
    while not lines[-1].endswith(QUOTES):
        lines.append(read_line(PROMPT))
    return "\n".join(lines).removesuffix(QUOTES)
