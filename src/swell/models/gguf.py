"""Headers of GGUF files (versions 2 and 3, little endian), read without trusting them.

The `gguf` package isn't used: for a vocabulary of 49,152 tokens its reader takes 2.4 s and 170 MB (measured), because
it makes numpy views of every single string. Here arrays are skipped over and only their place is remembered, which
takes 14 ms and 6 MB for the same file.

Every length in the file is compared with a limit and with the bytes that are really there before it is used, so a
broken or hostile file costs a few times its header of memory, of which at most `_READ_STEPS_BYTES[-1]` is read. What
llama.cpp would take memory for because a number says so is compared with the tensors. The file is read, not mapped: a
mapping would end the server with SIGBUS when somebody truncates the file.
"""

import hashlib
import itertools
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

from swell.errors import DamagedModelError, ModelLoadError
from swell.models.types import TENSOR_BLOCKS, TENSOR_TYPES
from swell.models.vocabulary import vocabulary_problem

_MAGIC = b"GGUF"
_READ_STEPS_BYTES = (4 << 20, 16 << 20, 64 << 20)
"""How much of a file is read until the header is complete. Of known models, Gemma 3 has the largest: 15 MB."""

_KEY_MAX_BYTES = 65535  # by the specification
_STRING_MAX_BYTES = 16 << 20  # some files hold a whole tokenizer.json
_TEMPLATE_MAX = 1 << 18  # characters; long ones have some 20,000
_ARRAY_MAX_ITEMS = 1 << 24  # the largest vocabularies have 262,144 tokens and twice as many merges
_TOKENS_MAX = 1 << 20  # each costs a hundred bytes while it is compared with the others
ENTRIES_MAX = 1 << 14  # the largest models have a few thousand tensors, and llama.cpp compares each with all others
_DIMENSIONS_MAX = 4
_LAYERS_MAX = 512  # llama.cpp's
_ALIGNMENT_MIN = 32  # bytes; llama.cpp ends the process over weights that are mapped at other addresses
_BLOCK_MAX_CELLS = 1 << 16
"""Of sparse attention; models have 128. llama.cpp rounds every slot up to whole blocks (2**24: 7 GB, measured)."""
INT64_MAX = 2**63 - 1
_ITEMS_AT_A_TIME = 1 << 14

_MIDDLE_KEYS = ("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id")
_MIDDLE_TOKENS = tuple(
    name.encode()
    for name in (
        *("<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<MID>", "▁<MID>", "<|code_middle|>"),
        "<｜fim▁end｜>",
    )
)

UINT16, FLOAT32 = 2, 6
_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {
    code: struct.Struct("<" + letter)
    for code, letter in {
        0: "B",
        1: "b",
        UINT16: "H",
        3: "h",
        4: "I",
        5: "i",
        FLOAT32: "f",
        7: "?",
        10: "Q",
        11: "q",
        12: "d",
    }.items()
}
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")

Scalar = int | float | bool | str


class GgufArray(NamedTuple):
    """An array left in the file; `read_array` fetches it."""

    item_type: int
    length: int
    offset_bytes: int
    size_bytes: int


class GgufTensor(NamedTuple):
    """A tensor's entry; `shape` in ggml's order, fastest dimension first."""

    name: str
    type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class GgufHeader:
    """Everything before the weights."""

    version: int
    metadata: dict[str, Scalar | GgufArray]
    tensors: tuple[GgufTensor, ...]
    tensor_bytes: tuple[int, ...]
    """What each tensor takes in the file, with the padding after it."""
    parameter_count: int
    header_bytes: int
    header_sha256: str
    fills_middle: bool
    """Whether the vocabulary has tokens to mark what stands before and after a gap."""
    value_types: Mapping[str, int] = field(default_factory=dict)
    """GGUF's number of the type of each value in `metadata`."""
    vocabulary_problem: str | None = None
    """Why llama.cpp would crash over the tokens."""


class _IncompleteError(Exception):
    """The data ends before the header does."""


class _MalformedError(Exception):
    """The header says something impossible."""


def read_header(path: Path) -> GgufHeader:
    """The header of the file at `path`. Raises DamagedModelError if it isn't a sound GGUF header, and ModelLoadError if
    it can't be read."""
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            for step_bytes in _READ_STEPS_BYTES:
                file.seek(0)
                data = file.read(step_bytes)
                try:
                    return _parse(data, size_bytes)
                except _IncompleteError:
                    if len(data) < step_bytes:
                        break
    except OSError as error:
        raise ModelLoadError(str(path), error.strerror or str(error)) from error
    except _MalformedError as error:
        raise DamagedModelError(str(path), str(error)) from None
    raise DamagedModelError(str(path), "the GGUF header is incomplete; the file is truncated or damaged")


def read_array(path: Path, array: GgufArray) -> Iterator[list[Scalar]]:
    """The items of `array`, which `read_header` found in the same file, some at a time: as objects they take up to 36
    times as much memory as in the file. Raises ModelLoadError if the file has changed."""
    try:
        with path.open("rb") as file:
            file.seek(array.offset_bytes)
            cursor = _Cursor(file.read(array.size_bytes))
        for start in range(0, array.length, _ITEMS_AT_A_TIME):
            count = min(array.length - start, _ITEMS_AT_A_TIME)
            if array.item_type == _STRING:
                yield [cursor.string(_STRING_MAX_BYTES) for _ in range(count)]
            else:
                item = _SCALARS[array.item_type]
                yield [value for (value,) in item.iter_unpack(cursor.take(item.size * count))]
    except OSError as error:
        raise ModelLoadError(str(path), error.strerror or str(error)) from error
    except (_IncompleteError, _MalformedError) as error:
        raise ModelLoadError(str(path), "the file changed while it was read") from error


class _Cursor:
    """A position in `data`; its methods read there and move on."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def skip(self, size_bytes: int) -> None:
        if self.position + size_bytes > len(self.data):
            raise _IncompleteError
        self.position += size_bytes

    def take(self, size_bytes: int) -> bytes:
        start = self.position
        self.skip(size_bytes)
        return self.data[start : self.position]

    def number(self, form: struct.Struct, most: int = INT64_MAX) -> int:
        number: int = form.unpack(self.take(form.size))[0]
        if number > most:
            raise _MalformedError(f"the GGUF header holds an impossible length: {number}")
        return number

    def string(self, max_bytes: int) -> str:
        """Broken UTF-8 is replaced: tokens of some vocabularies are pieces of characters."""
        return self.take(self.number(_U64, max_bytes)).decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        data, position, length_at = self.data, self.position, _U64.unpack_from
        try:
            for _ in range(count):
                position += 8 + length_at(data, position)[0]
        except (struct.error, OverflowError) as error:  # beyond the data, or beyond any address
            raise _IncompleteError from error
        self.skip(position - self.position)

    def array(self) -> GgufArray:
        item_type, length = self.number(_U32), self.number(_U64, _ARRAY_MAX_ITEMS)
        start = self.position
        if item_type == _STRING:
            self.skip_strings(length)
        elif item_type in _SCALARS:
            self.skip(_SCALARS[item_type].size * length)
        else:
            _fail_type(item_type)
        return GgufArray(item_type, length, start, self.position - start)

    def value(self, value_type: int) -> Scalar | GgufArray:
        if value_type == _STRING:
            return self.string(_STRING_MAX_BYTES)
        if value_type == _ARRAY:
            return self.array()
        if value_type not in _SCALARS:
            _fail_type(value_type)
        if value_type == _BOOL:
            return self.take(1) != b"\0"
        form = _SCALARS[value_type]
        scalar: int | float = form.unpack(self.take(form.size))[0]
        return scalar

    def tensor(self) -> tuple[GgufTensor, int]:
        """A tensor's entry and where its data starts."""
        name = self.string(_KEY_MAX_BYTES)
        shape = tuple(self.number(_U64) for _ in range(self.number(_U32, _DIMENSIONS_MAX)))
        code = self.number(_U32)
        type_name = TENSOR_TYPES[code] if code < len(TENSOR_TYPES) else f"type {code}"
        return GgufTensor(name, type_name, shape), self.number(_U64)


def _parse(data: bytes, size_bytes: int) -> GgufHeader:
    """The header at the start of `data`, the first bytes of a file of `size_bytes`."""
    cursor = _Cursor(data)
    version = _version(cursor)
    tensor_count, entry_count = cursor.number(_U64, ENTRIES_MAX), cursor.number(_U64, ENTRIES_MAX)
    metadata: dict[str, Scalar | GgufArray] = {}
    value_types: dict[str, int] = {}
    for _ in range(entry_count):
        key = cursor.string(_KEY_MAX_BYTES)
        if key in metadata:
            raise _MalformedError(f"the GGUF header has two values for {key!r}")
        value_types[key] = cursor.number(_U32)
        metadata[key] = cursor.value(value_types[key])
    tensors, starts = [], []
    for _ in range(tensor_count):
        tensor, start = cursor.tensor()
        tensors.append(tensor)
        starts.append(start)
    weights_bytes = size_bytes - _aligned(cursor.position, metadata)
    parameter_count = sum(math.prod(tensor.shape) for tensor in tensors)
    if parameter_count > INT64_MAX:
        raise _MalformedError("the GGUF header holds tensors of impossible size")
    if any(start + _data_bytes(tensor) > weights_bytes for tensor, start in zip(tensors, starts, strict=True)):
        raise _MalformedError("the file ends before its weights do; it is truncated")
    _check(metadata, tensors)
    return GgufHeader(
        version,
        metadata,
        tuple(tensors),
        _sizes(starts, weights_bytes),
        parameter_count,
        cursor.position,
        hashlib.sha256(memoryview(data)[: cursor.position]).hexdigest(),
        _fills_middle(data, metadata),
        value_types,
        _vocabulary_problem(data, metadata),
    )


def _data_bytes(tensor: GgufTensor) -> int:
    """What the weights of `tensor` take; 0 for a type that isn't known."""
    weights, block_bytes = TENSOR_BLOCKS.get(tensor.type, (1, 0))
    return math.prod(tensor.shape) // weights * block_bytes


def _check(metadata: Mapping[str, Scalar | GgufArray], tensors: Sequence[GgufTensor]) -> None:
    """Raise _MalformedError for what would cost memory out of proportion to the file, or end llama.cpp."""
    for key in ("tokenizer.chat_template", "tokenizer.chat_template.tool_use"):
        template = metadata.get(key)
        if isinstance(template, str) and len(template) > _TEMPLATE_MAX:
            raise _MalformedError(f"the chat template is longer than {_TEMPLATE_MAX} characters")
    architecture = metadata.get("general.architecture")
    layers = metadata.get(f"{architecture}.block_count")
    if isinstance(layers, int) and not 0 < layers <= _LAYERS_MAX:
        raise _MalformedError(f"the GGUF header holds an impossible number of layers: {layers}")
    block = metadata.get(f"{architecture}.attention.indexer.block_size")
    if isinstance(block, int) and block > _BLOCK_MAX_CELLS:
        raise _MalformedError(f"the GGUF header holds blocks of attention of {block} tokens")
    tokens = metadata.get(f"{architecture}.vocab_size")
    if "tokenizer.ggml.tokens" in metadata or not isinstance(tokens, int):
        return
    # llama.cpp makes up so many tokens where the file has none
    if tokens > max((size for tensor in tensors for size in tensor.shape), default=0):
        raise _MalformedError(f"the GGUF header holds a vocabulary of {tokens} tokens, which no tensor has room for")


def _fills_middle(header: bytes, metadata: dict[str, Scalar | GgufArray]) -> bool:
    """Whether there are tokens for filling a gap. They are looked for by their texts, as llama.cpp does it, because few
    files have keys for them."""
    if any(key in metadata for key in _MIDDLE_KEYS):
        return True
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, GgufArray) or tokens.item_type != _STRING:
        return False
    end = tokens.offset_bytes + tokens.size_bytes
    return any(header.find(_U64.pack(len(name)) + name, tokens.offset_bytes, end) >= 0 for name in _MIDDLE_TOKENS)


def _vocabulary_problem(header: bytes, metadata: dict[str, Scalar | GgufArray]) -> str | None:
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, GgufArray) or tokens.item_type != _STRING:
        return None
    if tokens.length > _TOKENS_MAX:
        return f"tokenizer.ggml.tokens holds {tokens.length} tokens"
    return vocabulary_problem(metadata.get("tokenizer.ggml.model"), _texts(header, tokens))


def _texts(header: bytes, array: GgufArray) -> Iterator[bytes]:
    """The texts of an array that was skipped."""
    position = array.offset_bytes
    for _ in range(array.length):
        start = position + _U64.size
        position = start + _U64.unpack_from(header, position)[0]
        yield header[start:position]


def _sizes(starts: list[int], end: int) -> tuple[int, ...]:
    """From each start to the next one in the file, the last up to `end`."""
    ordered = sorted({*starts, end})
    sizes = {start: following - start for start, following in itertools.pairwise(ordered)}
    return tuple(sizes.get(start, 0) for start in starts)


def _version(cursor: _Cursor) -> int:
    # A short file can't be "incomplete GGUF" before its first four bytes say that it is GGUF at all.
    if cursor.data[:4] != _MAGIC:
        raise _MalformedError("not a GGUF file")
    cursor.position = 4
    version = cursor.number(_U32)
    if version in (2, 3):
        return version
    if not version & 0xFFFF:
        raise _MalformedError("big-endian GGUF files are not supported")
    raise _MalformedError(f"GGUF version {version} is not supported")


def _aligned(position: int, metadata: dict[str, Scalar | GgufArray]) -> int:
    alignment = metadata.get("general.alignment", _ALIGNMENT_MIN)
    if not isinstance(alignment, int) or alignment < _ALIGNMENT_MIN or alignment & (alignment - 1):  # a power of two
        raise _MalformedError("the GGUF header holds an impossible alignment")
    return -(-position // alignment) * alignment


def _fail_type(code: int) -> NoReturn:
    raise _MalformedError(f"the GGUF header holds a value of unknown type {code}")
