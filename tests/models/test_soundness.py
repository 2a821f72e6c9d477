"""What llama.cpp ends the process over is refused by the header, with the key and what is wrong with it."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fuzz.document import ARRAY, STRING, Document, parse, string, string_array
from tests.tiny import ARCHITECTURES
from tests.tiny.encoder import write_bert
from tests.tiny.split import split_gguf

from swell.errors import DamagedModelError
from swell.models.weights import open_weights

_UINT32, _FLOAT32 = 4, 6
_Change = Callable[[Document], None]


def _number(key: str, number: int) -> _Change:
    return lambda document: document.put(key.encode(), _UINT32, struct.pack("<I", number))


def _real(key: str, number: float) -> _Change:
    return lambda document: document.put(key.encode(), _FLOAT32, struct.pack("<f", number))


def _text(key: str, text: str) -> _Change:
    return lambda document: document.put(key.encode(), STRING, string(text.encode()))


def _tokens(*tokens: bytes) -> _Change:
    return lambda document: document.put(b"tokenizer.ggml.tokens", ARRAY, string_array(list(tokens)))


@pytest.mark.parametrize(
    ("architecture", "change", "reason"),
    [
        ("llama", _text("tokenizer.ggml.model", "none"), "it has no vocabulary"),
        ("llama", _tokens(b"a", b"b", b"a"), "tokenizer.ggml.tokens holds 'a' twice"),
        ("llama", _text("tokenizer.ggml.model", "rwkv"), "tokens that begin with b'<', but not that byte"),
        ("llama", _tokens(*[b""] * ((1 << 20) + 1)), "tokenizer.ggml.tokens holds 1048577 tokens"),
        ("llama", _number("general.alignment", 16), "impossible alignment"),
        ("llama", _number("llama.context_length", 0), "llama.context_length is 0"),
        ("llama", _number("llama.rope.dimension_count", 2**32 - 2), "4294967294, which no tensor has room for"),
        ("llama", _number("llama.rope.dimension_count", 31), "llama.rope.dimension_count is 31, which is odd"),
        ("llama", _number("llama.rope.dimension_count", 0), "llama.rope.dimension_count is 0"),
        ("llama", _number("llama.nextn_predict_layers", 5), "llama.nextn_predict_layers is 5"),
        ("llama", _text("llama.rope.scaling.type", "x"), "llama.rope.scaling.type is 'x'"),
        ("llama", _real("llama.attention.layer_norm_rms_epsilon", -1), "layer_norm_rms_epsilon is -1.0"),
        ("llama", _real("llama.attention.layer_norm_rms_epsilon", float("nan")), "layer_norm_rms_epsilon is nan"),
        ("llama", _number("llama.expert_used_count", 1), "llama.expert_used_count is 1 of 0 experts"),
        ("llama", _number("llama.expert_group_count", 3), "llama.expert_group_count is 3"),
        ("bert", _number("tokenizer.ggml.bos_token_id", 2**31), "bos_token_id is no token of the"),
        ("bert", _number("tokenizer.ggml.seperator_token_id", 2**31), "seperator_token_id is no token of the"),
        ("bert", _number("bert.pooling_type", 5), "bert.pooling_type is 5"),
        ("llama4", _number("llama4.expert_used_count", 0), "llama4.expert_used_count is 0 of 4 experts"),
        ("llama4", _number("llama4.expert_used_count", 5), "llama4.expert_used_count is 5 of 4 experts"),
        ("llama4", _number("llama4.expert_count", 2**30), "1073741824, which no tensor has room for"),
        ("llama4", _number("llama4.expert_group_count", 3), "expert_group_count is 3, of which 0 are used"),
        ("llama4", _number("llama4.expert_group_count", 2), "expert_group_count is 2, of which 0 are used"),
    ],
)
def test_what_ends_llama_is_refused(tmp_path: Path, architecture: str, change: _Change, reason: str) -> None:
    path = tmp_path / "model.gguf"
    write = write_bert if architecture == "bert" else ARCHITECTURES[architecture].write
    write(path)
    document = parse(path.read_bytes())
    change(document)
    path.write_bytes(document.encode())

    with pytest.raises(DamagedModelError, match=reason):
        open_weights(path)


def test_a_part_of_a_model_without_its_number(tmp_path: Path) -> None:
    ARCHITECTURES["llama"].write(tmp_path / "model.gguf")
    parts = split_gguf(tmp_path / "model.gguf", 2)
    document = parse(parts[1].read_bytes())
    _number("split.no", 1)(document)
    parts[1].write_bytes(document.encode())

    with pytest.raises(DamagedModelError, match=r"split\.no is no number of 16 bits"):
        open_weights(parts[0])


def test_sound_models_are_not_refused(model_path: Path, tmp_path: Path) -> None:
    open_weights(model_path)
    for architecture in ARCHITECTURES.values():
        architecture.write(tmp_path / "model.gguf")
        open_weights(tmp_path / "model.gguf")
