from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.server import Server, running
from tests.tiny.speller import write_speller


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with default settings, shared by tests that leave it as they found it."""
    with running(tmp_path_factory.mktemp("server") / "log") as started:
        yield started


@pytest.fixture(scope="session")
def speller(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a tiny model that writes nonsense, but has a template for tools and thinking."""
    path: Path = tmp_path_factory.mktemp("speller") / "speller.gguf"
    write_speller(path)
    return str(path)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where a test's own server writes its log."""
    return tmp_path / "server.log"
