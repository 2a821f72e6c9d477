"""What tests of the cache share."""

import contextlib
from collections.abc import Iterator

import pytest
from tests.kv.admitting import ENTRIES
from tests.tiny import ARCHITECTURES, Architecture

from swell.llama import logs
from swell.llama.model import LlamaModel
from swell.memory.ledger import Ledger


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with contextlib.closing(Ledger.create(ENTRIES)) as created:
        yield created


@pytest.fixture(scope="module", params=ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def architecture(request: pytest.FixtureRequest) -> Architecture:
    found: Architecture = request.param
    return found


@pytest.fixture(scope="module")
def tiny(architecture: Architecture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    logs.route()
    path = tmp_path_factory.mktemp("model") / f"{architecture.name}.gguf"
    architecture.write(path)
    with LlamaModel(path) as loaded:
        yield loaded
