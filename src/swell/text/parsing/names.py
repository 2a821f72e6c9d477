"""Finding the tool of a request that a call names."""

import re

from swell.text.parsing.calls import Tools

_SEPARATOR = re.compile(r"[.:/]")


def tool_name(written: str, tools: Tools) -> str:
    """The name of the tool that `written` means, perhaps with a namespace before it; `written` itself if none fits."""
    if written in tools:
        return written
    shorter = (written[separator.end() :] for separator in _SEPARATOR.finditer(written))
    return next((name for name in shorter if name in tools), written)
