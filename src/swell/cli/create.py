"""`create`: a model from a Modelfile. Its files go to the server first, as far as it doesn't have them."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swell.cli.client import Client
from swell.cli.errors import UsageError
from swell.cli.screen import Display, open_display
from swell.cli.sources import Sources, find_sources
from swell.cli.transfers import follow
from swell.modelfile.instructions import Modelfile
from swell.modelfile.parsing import parse_modelfile
from swell.store.names import parse_name

DEFAULT_FILE = "Modelfile"
_GGUF_MAGIC = b"GGUF"
_PIECE_BYTES = 1 << 20


def read_modelfile(file: Path | None) -> tuple[Modelfile, Path]:
    """The Modelfile in `file`, and the folder that its paths start from. Raises UsageError and ModelfileError.

    Without a name, that is the file `Modelfile` here, or, if there is none, all that is here.
    """
    try:
        with (file or Path(DEFAULT_FILE)).open("rb") as opened:
            if opened.peek().startswith(_GGUF_MAGIC):
                raise UsageError(f'{file} is no Modelfile but a model: write "FROM {file}" into a Modelfile')
            return parse_modelfile(opened.read()), Path(opened.name).absolute().parent
    except FileNotFoundError as error:
        if file:
            raise UsageError("specified Modelfile wasn't found") from error
        return parse_modelfile(b"FROM ."), Path.cwd()


def create_model(client: Client, name: str, file: Path | None, quantize: str) -> None:
    """Make a model called `name`; `quantize` is a type of tensors, or empty.

    Raises what the client does, UsageError, ModelfileError, and InvalidRequestError for a wrong name.
    """
    modelfile, folder = read_modelfile(file)
    parse_name(name)  # now, and not when everything was copied
    sources = find_sources(modelfile, folder)
    client.heartbeat()
    for parameter in modelfile.deprecated:
        print(f"warning: parameter {parameter} is deprecated", file=sys.stderr)
    kinds = {"files": sources.files, "adapters": sources.adapters, "draft_files": sources.drafts}
    with open_display() as display:
        paths = dict.fromkeys(path for files in kinds.values() for _, path in files)
        digests = {path: _bring(client, path, display) for path in paths}
        fields = {kind: {name: digests[path] for name, path in files} for kind, files in kinds.items()}
        body = {"model": name, "quantize": quantize, **fields, **_texts(modelfile, sources)}
        follow(client, "/api/create", {key: value for key, value in body.items() if value}, display)


def _texts(modelfile: Modelfile, sources: Sources) -> dict[str, Any]:
    """What a Modelfile says itself, as fields of the request; empty ones may be left out."""
    return {
        "from": sources.base,
        **{name: modelfile.text(name) for name in ("template", "system", "renderer", "parser")},
        "requires": modelfile.text("requires").removeprefix("v"),
        "license": list(modelfile.texts("license")),
        "parameters": dict(modelfile.parameters),
        "messages": [{"role": role, "content": text} for role, text in modelfile.messages],
    }


def _bring(client: Client, path: Path, display: Display) -> str:
    """The digest of a file, which the server has when this returns."""
    digest = hashlib.sha256()
    for piece in _pieces(path, "hashing", display):
        digest.update(piece)
    name = f"sha256:{digest.hexdigest()}"
    if not client.has(f"/api/blobs/{name}"):
        client.upload(f"/api/blobs/{name}", _pieces(path, "copying", display), path.stat().st_size)
    return name


def _pieces(path: Path, doing: str, display: Display) -> Iterator[bytes]:
    """The file piece by piece; a bar shows how far it is."""
    size_bytes, done_bytes = path.stat().st_size, 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
            done_bytes += len(piece)
            display.bar(f"{doing} {path}", f"{doing} {path.name}", max(size_bytes, done_bytes), done_bytes)
