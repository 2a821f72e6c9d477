"""`--version`: this program's version, and the running server's where it differs."""

from collections.abc import Iterator

from swell import __version__
from swell.cli.client import Client
from swell.cli.errors import CommandError
from swell.cli.replies import Version


def version_lines(client: Client) -> Iterator[str]:
    """The lines to print; the first one comes before the server is asked."""
    yield f"swell version is {__version__}"
    try:
        server = client.get("/api/version", Version)
    except CommandError:  # whatever is there, it is no Swell that works
        server = Version("")
    if server.swell is None:
        yield "Warning: could not connect to a running Swell instance"
    elif server.swell != __version__:
        yield f"Warning: server version is {server.swell}"
