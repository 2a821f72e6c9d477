from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.cache import CacheType
from swell.errors import ModelLoadError
from swell.llama.model import LlamaModel


def test_loading_tells_of_its_progress_whether_weights_are_mapped_or_not(model_path: Path) -> None:
    for maps_weights in (True, False):
        calls: list[int] = []
        with LlamaModel(model_path, maps_weights=maps_weights, on_progress=lambda calls=calls: calls.append(1)):  # type: ignore[misc]
            assert len(calls) > 10


def test_knows_the_model(model: LlamaModel) -> None:
    assert model.trained_tokens == 8192
    assert model.layers == 30
    assert model.window_tokens == 0
    assert model.kv_cell_bytes(CacheType.F16) == 23_040
    assert model.metadata("general.architecture") == "llama"
    assert model.metadata("no.such.key") is None


def test_special_tokens_are_read_only_when_asked(model: LlamaModel) -> None:
    text = "<|im_start|>user"
    parsed = model.vocabulary.tokenize(text, add_special=False, parse_special=True)
    plain = model.vocabulary.tokenize(text, add_special=False, parse_special=False)
    assert parsed[0] == model.vocabulary.bos
    assert len(plain) > len(parsed)
    assert b"".join(model.vocabulary.piece(token) for token in plain) == text.encode()


def test_control_tokens_stand_for_no_bytes_but_have_a_text(model: LlamaModel) -> None:
    assert model.vocabulary.piece(model.vocabulary.eos) == b""
    assert model.vocabulary.text(model.vocabulary.eos) == "<|im_end|>"
    assert model.vocabulary.text(-1) == ""
    assert model.vocabulary.is_end(model.vocabulary.eos)


@given(text=st.text("abcXYZ019 .,;!?-\n\täöüßéñçæøåŁżабвЖЯαβγΩ中文日本語한국어🙂🚀", max_size=60))
def test_tokens_stand_for_the_text_they_were_made_of(model: LlamaModel, text: str) -> None:
    # not any text: this vocabulary lacks tokens for some control characters and for the bytes F1 and up
    tokens = model.vocabulary.tokenize(text, add_special=False, parse_special=False)
    assert b"".join(model.vocabulary.piece(token) for token in tokens) == text.encode()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError) as caught:
        LlamaModel(tmp_path / "none.gguf")
    assert caught.value.path == str(tmp_path / "none.gguf")


def test_a_broken_file_gives_the_librarys_reason(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelLoadError) as caught:
        LlamaModel(path)
    assert "gguf" in caught.value.reason.lower()


def test_a_closed_model_refuses_use_instead_of_crashing(model_path: Path) -> None:
    loaded = LlamaModel(model_path)
    loaded.close()
    loaded.close()
    with pytest.raises(ValueError, match="closed"):
        loaded.metadata("general.name")


@pytest.mark.parametrize("maps_weights", [True, False])
def test_weights_are_mapped_or_read(model_path: Path, tmp_path: Path, maps_weights: bool) -> None:
    other = tmp_path / "other.gguf"  # the shared model is mapped, too
    other.write_bytes(model_path.read_bytes())
    with LlamaModel(other, maps_weights=maps_weights):
        assert (str(other) in Path("/proc/self/maps").read_text()) == maps_weights
