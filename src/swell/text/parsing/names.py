"""Which tool a model means."""

import re

from swell.text.parsing.calls import Tools

_SEPARATOR = re.compile(r"[.:/]")


def tool_name(written: str, tools: Tools) -> str:
    """The tool of the request that `written` names, perhaps after a namespace; `written` itself if there is none."""
    if written in tools:
        return written
    shorter = (written[separator.end() :] for separator in _SEPARATOR.finditer(written))
    return next((name for name in shorter if name in tools), written)
