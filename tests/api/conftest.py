"""What tests of the API share."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.api.scripted import HANG, FileModels, ScriptedScheduler, Server
from tests.tiny.header import write_gguf

from swell.models.catalog import Catalog


@pytest.fixture
def server(tiny_gguf: Path, tmp_path: Path) -> Server:
    """Knows the models `tiny:latest` and, for embeddings, `embed:latest`."""
    files = {"tiny:latest": tiny_gguf, "embed:latest": write_gguf(tmp_path / "embed.gguf", embeds=True)}
    return Server(Catalog([FileModels(files)]), ScriptedScheduler())


@pytest.fixture
def moment() -> datetime:
    return datetime(2026, 8, 21, 17, 21, 0, 123456, tzinfo=UTC)


@pytest.fixture
def hang() -> object:
    """A step of a script that ends only by cancellation."""
    return HANG
