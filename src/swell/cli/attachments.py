"""Files named in what a user says, for models that see or hear: terminals type the path of a file that is dropped."""

import base64
import os
import re
from pathlib import Path

from swell.cli.client import Client
from swell.cli.errors import UsageError
from swell.cli.replies import Shown

_ENDINGS = r"\.(?:jpe?g|png|webp|wav)"
_PATH = re.compile(
    rf"""'(?P<single>(?:~|\.{{0,2}})/[^'\n]*?{_ENDINGS})'
    | "(?P<double>(?:~|\.{{0,2}})/[^"\n]*?{_ENDINGS})"
    | (?<!\S)(?P<bare>(?:~|\.{{0,2}})/(?:\\.|[^\s\\])*?{_ENDINGS})(?!\S)""",
    re.IGNORECASE | re.VERBOSE,
)
"""In quotes, or with a backslash before blanks: both are ways in which terminals type them."""
_ABLE = {"vision", "audio"}


def attach(client: Client, model: str, text: str) -> tuple[str, list[str]]:
    """`text` without the files that it names, and their contents in base64; says which they are.

    Both are as they were if `model` can neither see nor hear. Raises UsageError for a file that can't be read, and what
    the client raises.
    """
    # isfile is false for what can be no path, too
    found = [(match, path) for match in _PATH.finditer(text) if os.path.isfile(path := _path(match))]
    if not found or not _ABLE.intersection(client.post("/api/show", {"model": model}, Shown).capabilities):
        return text, []
    contents = list[str]()
    for match, path in reversed(found):
        try:
            contents.insert(0, base64.b64encode(path.read_bytes()).decode())
        except OSError as error:
            raise UsageError(f"couldn't attach {path}: {error.strerror}") from error
        text = text[: match.start()] + text[match.end() :]
    for _, path in found:
        print(f"Added image '{path}'")
    return text.strip(), contents


def _path(match: re.Match[str]) -> Path:
    if (bare := match["bare"]) is not None:
        return Path(os.path.expanduser(re.sub(r"\\(.)", r"\1", bare)))
    return Path(os.path.expanduser(match["single"] or match["double"]))
