"""The catalog and what it says of models."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from swell.errors import InvalidRequestError, ModelLoadError, ModelNotFoundError
from swell.models.catalog import Catalog
from swell.models.model import open_model
from swell.models.weights import format_parameter_count


def test_the_bundled_model_is_listed_once() -> None:
    (model,) = Catalog().list()

    assert model.name == "smollm2:135m"
    assert (model.family, model.families) == ("llama", ("llama",))
    assert model.parameter_size == "134.52M"
    assert model.quantization_level == "Q4_1"
    assert model.context_length == 8192
    assert model.embedding_length == 576
    assert model.capabilities == ("completion",)
    assert len(model.digest) == 64
    assert model.modified_at.tzinfo is not None

    found = Catalog().find(model.name, allow_path=False)
    assert found.summary() == model
    assert found.vocabulary_tokens == 49152
    assert found.template() is not None


@pytest.mark.parametrize("name", ["smollm2:135m", "smollm2", "smollm2:latest", "SmolLM2:135M", "library/smollm2"])
def test_the_bundled_model_has_an_alias(name: str) -> None:
    assert Catalog().find(name, allow_path=False).name == "smollm2:135m"


def test_unknown_and_malformed_names() -> None:
    with pytest.raises(ModelNotFoundError, match=r"^model 'nope' not found$"):
        Catalog().find("nope", allow_path=True)
    with pytest.raises(InvalidRequestError):
        Catalog().find("a b", allow_path=True)


def test_a_path_is_a_model_only_where_allowed(tiny_gguf: Path) -> None:
    model = Catalog().find(str(tiny_gguf), allow_path=True)

    assert model.name == str(tiny_gguf)
    assert model.path == tiny_gguf
    with pytest.raises(ModelNotFoundError):
        Catalog().find(str(tiny_gguf), allow_path=False)


@pytest.mark.parametrize("name", ["/missing.gguf", "missing.gguf", "/null\0byte", "/dev/null/x.gguf"])
def test_paths_to_nothing(name: str) -> None:
    with pytest.raises(ModelNotFoundError):
        Catalog().find(name, allow_path=True)


def test_paths_to_what_is_no_model(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, "/dev/zero", "/" + "x" * 5000):
        with pytest.raises(ModelLoadError):
            Catalog().find(str(path), allow_path=True)


def test_a_header_is_read_again_only_when_the_file_changed(tiny_gguf: Path) -> None:
    first = open_model(tiny_gguf, "a", "a")
    assert open_model(tiny_gguf, "b", "b").header is first.header

    with tiny_gguf.open("ab") as file:
        file.write(b"x")
    changed = open_model(tiny_gguf, "a", "a")
    assert changed.header is not first.header
    assert changed.digest != first.digest


def test_capabilities_and_template(make_gguf: Callable[..., Path]) -> None:
    embedder = open_model(make_gguf("e.gguf", embeds=True, template=None), "e", "e")

    assert embedder.capabilities == ("embedding",)
    assert embedder.template() is None


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (22_400, "22K"),
        (134_515_008, "134.52M"),
        (7_000_000, "7M"),
        (3_212_749_888, "3.2B"),
        (7 * 10**9, "7B"),
    ],
)
def test_parameter_counts(count: int, text: str) -> None:
    assert format_parameter_count(count) == text
