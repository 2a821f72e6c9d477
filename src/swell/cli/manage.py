"""`cp` and `rm`: models get other names, or go."""

from contextlib import suppress

from swell.cli.client import Client
from swell.cli.errors import RefusedError
from swell.cli.replies import Chunk


def copy_model(client: Client, source: str, destination: str) -> None:
    """Give a model a second name."""
    client.heartbeat()
    client.tell("POST", "/api/copy", {"source": source, "destination": destination})


def remove_model(client: Client, name: str) -> None:
    """Unload a model and delete it."""
    client.heartbeat()
    with suppress(RefusedError):  # what isn't there, or can't be used, can't be unloaded
        client.post("/api/generate", {"model": name, "keep_alive": 0, "stream": False}, Chunk)
    client.tell("DELETE", "/api/delete", {"model": name})
