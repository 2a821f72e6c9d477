"""Tiny models of all kinds of memory whose tokens are bytes: an engine asks what tokens stand for."""

from pathlib import Path

import pytest
from tests.tiny import Architecture
from tests.tiny.attention import write_llama
from tests.tiny.weights import ModelFile, add_bytes

from swell.llama import logs
from swell.llama.model import LlamaModel


def open_byte_model(architecture: Architecture, folder: Path) -> LlamaModel:
    logs.route()
    path = folder / f"{architecture.name}.gguf"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelFile.write, "__defaults__", (add_bytes,))
        architecture.write(path)
        if architecture.name == "llama":
            write_llama(path, reads_text=True)
    return LlamaModel(path)
