"""`--version`: the running server's version, and this program's where it differs."""

from collections.abc import Iterator

from swell.cli.client import Client
from swell.cli.errors import CommandError
from swell.cli.replies import Version
from swell.version import __version__


def version_lines(client: Client) -> Iterator[str]:
    """The lines to print, in Ollama's words."""
    try:
        server = client.get("/api/version", Version).swell
    except CommandError:  # nothing is there, or no Swell that works
        server = None
    if server is None:
        yield "Warning: could not connect to a running Swell instance"
    else:
        yield f"swell version is {server}"
    if server != __version__:
        yield f"Warning: client version is {__version__}"
