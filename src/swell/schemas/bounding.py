"""Integers have a bounded number of digits. Pure."""

from swell.schemas.walk import Schema, mapped

INTEGER_MAX = 9_000_000_000_000_000_000
"""Nearly what 64 bits hold, which is what llguidance counts in. llama.cpp's own grammars end after 16 digits."""
_LEAST, _MOST = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")


def bounded(schema: Schema) -> Schema:
    """`schema` where every integer ends: small models like to write digits without end.

    A number that need not be whole stays as it is: llguidance knows no exponents where there are bounds.
    """
    if not isinstance(schema, dict):
        return schema
    copy = mapped(schema, lambda _key, one: bounded(one))
    kinds = copy.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "integer" not in kinds or "number" in kinds:
        return copy
    given = [copy[key] for key in (*_LEAST, *_MOST) if key in copy]
    if not all(isinstance(value, int | float) and abs(value) < INTEGER_MAX for value in given):
        return copy
    least = {} if any(key in copy for key in _LEAST) else {"minimum": -INTEGER_MAX}
    most = {} if any(key in copy for key in _MOST) else {"maximum": INTEGER_MAX}
    return {**copy, **least, **most}
