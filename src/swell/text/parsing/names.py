"""Finding the tool of a request that a call names."""

import re
from collections.abc import Collection

_SEPARATOR = re.compile(r"[.:/]")
_NUMBER = re.compile(r"[:_.]?\d+$")
_CANONICAL = re.compile(r"(?:functions\.)?(.+?)(?::\d+)?")


def tool_name(written: str, tools: Collection[str]) -> str:
    """The name of the tool that `written` means, perhaps with a namespace before it; `written` itself if none fits."""
    if written in tools:
        return written
    shorter = (written[separator.end() :] for separator in _SEPARATOR.finditer(written))
    return next((name for name in shorter if name in tools), written)


def numbered_name(written: str, tools: Collection[str]) -> str:
    """The name in `functions.NAME:INDEX`, as Kimi writes it, also where the point or the colon is another one."""
    bare = re.sub(r"^functions[._:]?", "", written)
    forms = (written, bare, *(_NUMBER.sub("", one) for one in (bare, written)))
    if known := next((name for one in forms if (name := tool_name(one, tools)) in tools), None):
        return known
    found = _CANONICAL.fullmatch(written)
    return written if found is None else found[1]
