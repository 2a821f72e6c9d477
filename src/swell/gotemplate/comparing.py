"""Go's comparisons. They raise ValueError for what can't be compared."""

from collections.abc import Sequence

from swell.gotemplate.values import BasicKind, TypedList, Value, is_nil, kind_of, to_bytes, type_name


def equals_any(first: Value, others: Sequence[Value]) -> bool:
    """Whether `first` equals one of `others`. Nothing but nil equals nil."""
    if not others:
        raise ValueError("eq needs something to compare with")
    return any(_equal(first, other) for other in others)


def _equal(first: Value, second: Value) -> bool:
    if is_nil(first) or is_nil(second):
        return _is_unset(first) and _is_unset(second)
    kind = kind_of(first)
    if kind is not kind_of(second):
        raise ValueError(f"{type_name(first)} and {type_name(second)} can't be compared")
    if kind is BasicKind.OTHER:
        if isinstance(first, list | dict) or isinstance(second, list | dict):
            raise ValueError(f"a {type_name(first)} can't be compared")
        return first is second
    return first == second


def _is_unset(value: Value) -> bool:
    return is_nil(value) or (isinstance(value, TypedList) and not value)


def is_less(first: Value, second: Value) -> bool:
    """Whether `first` comes before `second`: two numbers of one kind, or two strings by their bytes."""
    if isinstance(first, str) and isinstance(second, str):
        return to_bytes(first) < to_bytes(second)
    kinds = {kind_of(first), kind_of(second)}
    if kinds in ({BasicKind.INTEGER}, {BasicKind.FLOAT}):
        assert isinstance(first, int | float)
        assert isinstance(second, int | float)
        return first < second
    raise ValueError(f"{type_name(first)} and {type_name(second)} have no order")
