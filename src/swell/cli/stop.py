"""`stop`: unload a model."""

from http import HTTPStatus

from swell.cli.client import Client
from swell.cli.errors import RefusedError, UsageError
from swell.cli.replies import Chunk, Shown


def stop_model(client: Client, name: str, shown_name: str) -> None:
    """Ask the server to unload a model as soon as it is idle; `shown_name` is how the user called it."""
    client.heartbeat()
    try:
        client.post("/api/show", {"model": name}, Shown)
        client.post("/api/generate", {"model": name, "keep_alive": 0, "stream": False}, Chunk)
    except RefusedError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise UsageError(f'couldn\'t find model "{shown_name}" to stop') from error
        raise
