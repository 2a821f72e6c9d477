"""What a shell offers to complete: the names of models, as the server lists them, and of agents.

Typer does the rest: its scripts call the program with `_SWELL_COMPLETE` set.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator, MutableMapping

_PATIENCE_S = 1.0
"""Somebody waits at the keyboard; without an answer nothing is offered."""
_INSTRUCTION, _WORDS, _INDEX = "_SWELL_COMPLETE", "COMP_WORDS", "COMP_CWORD"


def model_names(incomplete: str) -> list[str]:
    """The models that the server has, and whose names begin so. None where no server answers."""
    import httpx

    from swell.cli.client import Client
    from swell.cli.errors import CommandError
    from swell.cli.replies import Tags
    from swell.settings import Settings, given_settings

    try:
        with Client(Settings.from_given(given_settings(os.environ)).host) as client:
            stored = client.get("/api/tags", Tags, httpx.Timeout(_PATIENCE_S)).models
    except CommandError:
        return []
    return [model.name for model in stored if model.name.startswith(incomplete)]


def agent_names(incomplete: str) -> list[str]:
    """The agents whose names begin so."""
    from swell.cli.agents import AGENTS

    return [name for name in AGENTS if name.startswith(incomplete)]


@contextlib.contextmanager
def complete_line(environment: MutableMapping[str, str]) -> Iterator[None]:
    """Within the block, completion for bash takes names with colons. Without a request for that, it does nothing.

    Bash ends words at colons. So words are joined again in `environment`, and of what is offered, the part that bash
    takes for a word of its own is left out.
    """
    if environment.get(_INSTRUCTION) != "complete_bash":
        yield
        return
    words, index = joined(environment.get(_WORDS, "").split("\n"), int(environment.get(_INDEX, "0")))
    environment[_WORDS], environment[_INDEX] = "\n".join(words), str(index)
    current = words[index] if index < len(words) else ""
    kept = current[: current.rfind(":") + 1]
    offered = io.StringIO()
    try:
        with contextlib.redirect_stdout(offered):
            yield
    finally:
        sys.stdout.writelines(line.removeprefix(kept) for line in offered.getvalue().splitlines(keepends=True))


def joined(words: list[str], index: int) -> tuple[list[str], int]:
    """Words as they were typed, of those that bash has split at colons; and which of them the one at `index` is."""
    found: list[str] = []
    current = index
    for at, word in enumerate(words):
        is_rest = found and (word == ":" or found[-1].endswith(":"))
        if is_rest:
            found[-1] += word
            current -= at <= index
        else:
            found.append(word)
    return found, max(current, 0)
