"""Two workers that all tests share which don't end them, and two Vulkan devices."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.devices.vulkan import two_vulkan_devices, vulkan_devices  # noqa: F401 - fixtures
from tests.devices.worker import Worker, lending
from tests.e2e.server import running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "server.log"


@pytest.fixture(scope="session")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Worker, Worker]]:
    """The first one lends more."""
    folder = tmp_path_factory.mktemp("workers")
    with lending(folder / "first.log", "400MB") as first, lending(folder / "second.log", "300MB") as second:
        yield first, second


@pytest.fixture(scope="session")
def local_answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the model says without workers; see `tests.devices.asking`."""
    from tests.devices.asking import SETTINGS, ask

    with running(tmp_path_factory.mktemp("local") / "server.log", SETTINGS) as server:
        return ask(server)
