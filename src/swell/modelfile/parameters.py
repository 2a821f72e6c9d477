"""The parameters that PARAMETER and `/set parameter` know: the API's options, and how each is written."""

import math
import re
from collections.abc import Sequence

import msgspec

from swell.booleans import BOOLEANS
from swell.errors import InvalidParameterError
from swell.options import Options

Parameter = int | float | bool | list[str]

DEPRECATED = frozenset(
    (
        *("penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock"),
        *("mirostat", "mirostat_tau", "mirostat_eta"),
    )
)
"""What Modelfiles may still hold, and what isn't read there any more."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TYPES = {field.name: field.type for field in msgspec.structs.fields(Options)}


def is_integer(name: str) -> bool:
    """Whether the parameter takes whole numbers."""
    return _TYPES.get(name) in (int, int | None)


def parse_parameter(name: str, values: Sequence[str]) -> Parameter:
    """The value of a parameter from the words that stand for it, of which all but lists take the first.

    Raises InvalidParameterError in Ollama's words.
    """
    if name not in _TYPES:
        raise InvalidParameterError(f"unknown parameter '{name}'")
    value, shown = values[0], f"[{' '.join(values)}]"
    if is_integer(name):
        if not _INTEGER.fullmatch(value):
            raise InvalidParameterError(f"invalid int value {shown}")
        return int(value)
    if _TYPES[name] is float:
        if not _NUMBER.fullmatch(value) or math.isinf(float(value)):  # JSON has no words for what isn't finite
            raise InvalidParameterError(f"invalid float value {shown}")
        return float(value)
    if _TYPES[name] == bool | None:
        if value not in BOOLEANS:
            raise InvalidParameterError(f"invalid bool value {shown}")
        return BOOLEANS[value]
    return list(values)
