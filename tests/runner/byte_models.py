"""Tiny models of all kinds of memory, opened for an engine, which asks what tokens stand for."""

from pathlib import Path

from tests.tiny import Architecture

from swell.llama import logs
from swell.llama.model import LlamaModel


def open_byte_model(architecture: Architecture, folder: Path) -> LlamaModel:
    logs.route()
    path = folder / f"{architecture.name}.gguf"
    architecture.write(path)
    return LlamaModel(path)
