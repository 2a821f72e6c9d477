"""`run` with a model for embeddings: the vector of one text."""

from swell.cli.client import Client
from swell.cli.errors import UsageError
from swell.cli.replies import EmbedAnswer
from swell.cli.run import RunOptions


def print_embedding(client: Client, run: RunOptions, text: str, *, truncate: bool | None, dimensions: int) -> None:
    """Print the vector of `text` as one JSON array.

    `truncate` None and `dimensions` 0 leave it to the server. Raises UsageError if there is no text.
    """
    if not text:
        raise UsageError(f'embedding models require input text. Usage: swell run {run.model} "your text here"')
    body = run.request(input=text, truncate=truncate, dimensions=dimensions if dimensions > 0 else None)
    print(bytes(client.post("/api/embed", body, EmbedAnswer).embeddings[0]).decode())
