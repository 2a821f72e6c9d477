"""What a registry wants to be shown before it serves a request: the `WWW-Authenticate` header. Without effects."""

import re
from typing import NamedTuple

_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"\s*bearer\s+", re.IGNORECASE)
_HEADER_MAX = 8192
"""Characters; real ones have some hundred."""


class Challenge(NamedTuple):
    """Where to ask for a token, and for what."""

    realm: str
    service: str
    scopes: tuple[str, ...]


def parse_challenge(header: str) -> Challenge | None:
    """The challenge in `header`; None if it asks for something else than a token, or doesn't say where to get it."""
    scheme = _SCHEME.match(header)
    if scheme is None or len(header) > _HEADER_MAX:
        return None
    found = {
        key.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare
        for key, quoted, bare in _PARAMETER.findall(header, scheme.end())
    }
    if not found.get("realm"):
        return None
    return Challenge(found["realm"], found.get("service", ""), tuple(found.get("scope", "").split()))
