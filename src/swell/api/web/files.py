"""The files of the dashboard, with the headers that browsers get with them."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).with_name("page")
_INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
_SAFETY = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_FOR_EVER = "public, max-age=31536000, immutable"


class WebFile(NamedTuple):
    """One file as it is sent."""

    content: bytes
    headers: Mapping[str, str]

    @property
    def tag(self) -> str:
        """Its `ETag`, which changes with its content."""
        return self.headers["etag"]


class Site(NamedTuple):
    """The page, and the files it asks for by their names, all under the path of one version.

    So a browser may keep them for ever: after an update the page asks for others.
    """

    version: str
    page: WebFile
    files: Mapping[str, WebFile]


@cache
def site() -> Site:
    """What is in the folder `page`, read when the first browser comes."""
    contents = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
    version = _digest(b"".join(name.encode() + content for name, content in contents.items()))
    page = contents.pop(_INDEX).replace(b"{{version}}", version.encode())
    files = {name: _file(name, content, _FOR_EVER) for name, content in contents.items()}
    return Site(version, _file(_INDEX, page, "no-cache"), files)


def _file(name: str, content: bytes, caching: str) -> WebFile:
    kind = _TYPES[Path(name).suffix]
    tag = f'"{_digest(content)}"'
    return WebFile(content, {"content-type": kind, "cache-control": caching, "etag": tag, **_SAFETY})


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
