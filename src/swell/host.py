"""Where a server listens: the address in `OLLAMA_HOST`, in every form that Ollama takes."""

from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT_PORT = 11434


class HostAddress(NamedTuple):
    """Where the server listens and clients connect."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def url(self) -> str:
        """Base URL for clients; a wildcard address is reached over loopback."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_host(text: str) -> HostAddress:
    """`host`, `:port`, `host:port`, `[v6]:port` or a URL; a bad port becomes the default one."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "http", text
    default_port = {"http": 80, "https": 443}.get(scheme, DEFAULT_PORT) if separator else DEFAULT_PORT
    parts = urlsplit(f"//{rest}")
    try:
        port = parts.port
    except ValueError:
        port = default_port
    host = "" if rest.startswith(":") else parts.hostname or "127.0.0.1"
    return HostAddress(scheme, host, default_port if port is None else port, parts.path.rstrip("/"))
