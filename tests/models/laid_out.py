"""A store as Ollama lays it out, made by hand."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LAYER = "application/vnd.ollama.image."
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"


Content = str | Path
"""Of a layer: a text, or what a file holds."""


def add_model(folder: Path, name: str, weights: Path | None, **layers: Content | Sequence[Content]) -> Path:
    """A model with these layers, called `host/namespace/model/tag`; returns the path of its manifest."""
    found = [] if weights is None else [_layer(folder, "model", weights.read_bytes())]
    for kind, given in layers.items():
        for one in [given] if isinstance(given, Content) else given:
            found.append(_layer(folder, kind, one.encode() if isinstance(one, str) else one.read_bytes()))
    config = {**_layer(folder, "", json.dumps({"model_format": "gguf"}).encode()), "mediaType": CONFIG}
    path = folder / "manifests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": found}))
    return path


def _layer(folder: Path, kind: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    blob = folder / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(content)
    return {"mediaType": LAYER + kind, "digest": f"sha256:{digest}", "size": len(content)}
