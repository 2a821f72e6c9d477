"""What templates work with, and what Go says of it: kinds, names of types, truth.

A value is a str, bool, int, float, list or dict, one of the classes below, or None: Go's nil interface. Strings are
bytes in Go; bytes that aren't UTF-8 are kept as Python's surrogate escapes.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

Value = object


class _NoValue:
    """The type of NO_VALUE."""


NO_VALUE: Final = _NoValue()
"""What a pipeline gives that ends in nil. It has every field, and none has a value either."""


class Byte(int):
    """A uint8: an item of a string."""


class TypedList(list[Value]):
    """A list whose items all have one type. An empty one is nil: nobody has made it."""


class JsonList(TypedList):
    """A list that prints as JSON."""


class JsonMap(dict[str, Value]):
    """A map that prints as JSON."""


class TypeNames(list[Value]):
    """The types that a JSON schema allows. Prints as a word if it is one."""

    def __str__(self) -> str:
        return str(self[0]) if len(self) == 1 else f"[{' '.join(map(str, self))}]" if self else ""


@dataclass(frozen=True, eq=False)
class Record:
    """A struct: its fields, and the same as JSON, which has other names and may leave some out."""

    type_name: str
    fields: Mapping[str, Value]
    json: Sequence[tuple[str, Value]]


@dataclass(frozen=True, eq=False)
class JsonRecord(Record):
    """A struct that prints as JSON."""


class BasicKind(Enum):
    """What can be compared with what."""

    BOOL = auto()
    INTEGER = auto()
    FLOAT = auto()
    TEXT = auto()
    OTHER = auto()


def kind_of(value: Value) -> BasicKind:
    """The kind of `value`; OTHER for what has no order."""
    if isinstance(value, bool):
        return BasicKind.BOOL
    if isinstance(value, int):
        return BasicKind.INTEGER
    if isinstance(value, float):
        return BasicKind.FLOAT
    return BasicKind.TEXT if isinstance(value, str) else BasicKind.OTHER


def is_nil(value: Value) -> bool:
    """Whether there is no value."""
    return value is None or value is NO_VALUE


def is_true(value: Value) -> bool:
    """Whether `if` takes `value` for true: it does if it isn't the zero of its type. Structs are always true."""
    return not is_nil(value) and (isinstance(value, Record) or bool(value))


_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "bool"),
    (Byte, "uint8"),
    (int, "int"),
    (float, "float64"),
    (str, "string"),
    (JsonList, "template.List"),
    (TypeNames, "template.Types"),
    (TypedList, "[]template.Item"),
    (list, "[]interface {}"),
    (JsonMap, "template.Map"),
    (dict, "map[string]interface {}"),
)


def type_name(value: Value) -> str:
    """The name of the type of `value` in Go."""
    if isinstance(value, Record):
        return value.type_name
    return next((name for type_, name in _TYPE_NAMES if isinstance(value, type_)), "<nil>")


def to_bytes(text: str) -> bytes:
    """`text` as Go has it. Half a surrogate pair becomes U+FFFD."""
    if text.isascii():
        return text.encode("ascii")
    return _LONE_SURROGATE.sub("\ufffd", text).encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """The string of which `data` are the bytes."""
    return data.decode("utf-8", "surrogateescape")


_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
