"""A GGUF file taken apart, so that its parts can be changed one by one, however wrong that makes it."""

import dataclasses
import math
import struct

STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Letters of `struct` for the types of values."""
_ALIGNMENT_BYTES = 32


@dataclasses.dataclass
class Entry:
    """A value of the metadata; `payload` are its bytes as they are in the file."""

    key: bytes
    type: int
    payload: bytes

    @property
    def is_array(self) -> bool:
        return self.type == ARRAY


@dataclasses.dataclass
class TensorEntry:
    """A tensor; where its data begins is counted from the first byte behind the header."""

    name: bytes
    shape: list[int]
    type: int
    start_bytes: int


@dataclasses.dataclass
class Document:
    """A whole file. `claimed` are numbers of tensors and of values that differ from what there is."""

    entries: list[Entry]
    tensors: list[TensorEntry]
    data: bytes
    magic: bytes = b"GGUF"
    version: int = 3
    claimed: tuple[int, int] | None = None

    def encode(self) -> bytes:
        """The file's bytes."""
        counts = self.claimed or (len(self.tensors), len(self.entries))
        header = self.magic + struct.pack("<IQQ", self.version, *counts)
        header += b"".join(string(entry.key) + struct.pack("<I", entry.type) + entry.payload for entry in self.entries)
        header += b"".join(
            string(tensor.name)
            + struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
            + struct.pack("<IQ", tensor.type, tensor.start_bytes)
            for tensor in self.tensors
        )
        return header + bytes(-len(header) % _ALIGNMENT_BYTES) + self.data

    def find(self, key: bytes) -> Entry | None:
        """The value under `key`."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def put(self, key: bytes, type_: int, payload: bytes) -> None:
        """Set the value under `key`."""
        self.entries = [*(entry for entry in self.entries if entry.key != key), Entry(key, type_, payload)]


def string(text: bytes) -> bytes:
    """A string as GGUF has it."""
    return struct.pack("<Q", len(text)) + text


def strings(payload: bytes) -> list[bytes]:
    """The items of an array of strings."""
    reader = _Reader(payload)
    _, length = reader.numbers("<IQ")
    return [reader.string() for _ in range(length)]


def string_array(texts: list[bytes]) -> bytes:
    """The payload of an array of `texts`."""
    return struct.pack("<IQ", STRING, len(texts)) + b"".join(map(string, texts))


def parse(content: bytes) -> Document:
    """Take a sound file apart."""
    reader = _Reader(content)
    magic = reader.take(4)
    version, tensor_count, entry_count = reader.numbers("<IQQ")
    entries = []
    for _ in range(entry_count):
        key = reader.string()
        (type_,) = reader.numbers("<I")
        start = reader.position
        reader.skip_value(type_)
        entries.append(Entry(key, type_, content[start : reader.position]))
    tensors = []
    for _ in range(tensor_count):
        name = reader.string()
        (dimensions,) = reader.numbers("<I")
        shape = list(reader.numbers(f"<{dimensions}Q"))
        tensors.append(TensorEntry(name, shape, *reader.numbers("<IQ")))
    end = math.ceil(reader.position / _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
    return Document(entries, tensors, content[end:], magic, version)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def take(self, size_bytes: int) -> bytes:
        self.position += size_bytes
        return self._content[self.position - size_bytes : self.position]

    def numbers(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def string(self) -> bytes:
        return self.take(*self.numbers("<Q"))

    def skip_value(self, type_: int) -> None:
        if type_ == STRING:
            self.string()
        elif type_ == ARRAY:
            item, length = self.numbers("<IQ")
            for _ in range(length):
                self.skip_value(item)
        else:
            self.take(struct.calcsize("<" + SCALARS[type_]))
