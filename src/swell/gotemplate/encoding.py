"""JSON as Go's encoding/json writes it: keys of maps sorted, and what HTML gives a meaning to escaped."""

import re

from swell.gotemplate.floats import float_text
from swell.gotemplate.values import Record, TypedList, TypeNames, Value

_EXPONENT_BELOW, _EXPONENT_FROM = 1e-6, 1e21
_ESCAPED = re.compile('["\\\\<>&\x00-\x1f\u2028\u2029\ud800-\udfff]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def to_json(value: Value) -> str:
    """`value` as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Record):
        return "{" + ",".join(f"{_string(name)}:{to_json(item)}" for name, item in value.json) + "}"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_string(key)}:{to_json(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, TypeNames) and len(value) == 1:
        return to_json(value[0])
    if isinstance(value, list) and (value or not isinstance(value, TypedList)):
        return "[" + ",".join(map(to_json, value)) + "]"
    return "null"


def _string(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    if letter in _SHORT:
        return _SHORT[letter]
    return "\\ufffd" if "\ud800" <= letter <= "\udfff" else f"\\u{ord(letter):04x}"


def _number(value: float) -> str:
    if value and not _EXPONENT_BELOW <= abs(value) < _EXPONENT_FROM:
        return re.sub("e([+-])0", r"e\1", float_text(value, "e", None))
    return float_text(value, "f", None)
