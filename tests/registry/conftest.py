"""What tests of pulling and pushing share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.registry.scripted import ScriptedRegistry


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback isn't reached through the proxy of the machine that tests run on."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    with ScriptedRegistry().serving() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a store that is to be."""
    return tmp_path / "models"
