"""The functions that templates may call: those of Go, and those that Ollama adds.

They raise ValueError for arguments that they can't take. `and` and `or` aren't here, since they don't look at all of
theirs; the execution knows them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from swell.gotemplate import comparing, escaping
from swell.gotemplate.encoding import to_json
from swell.gotemplate.printf import sprintf
from swell.gotemplate.printing import plain, sprint
from swell.gotemplate.typescript import type_script
from swell.gotemplate.values import Byte, Value, from_bytes, is_nil, is_true, to_bytes, type_name

_ANY = 1 << 30


@dataclass(frozen=True)
class Function:
    """A function, and how many arguments it takes. The first `texts` of them, -1 for all, have to be strings."""

    run: Callable[..., Value]
    least: int
    most: int
    texts: int = 0


def call(name: str, arguments: list[Value]) -> Value:
    """What the function of that name gives. Raises ValueError."""
    function = FUNCTIONS[name]
    if not function.least <= len(arguments) <= function.most:
        raise ValueError(f"{name} doesn't take {len(arguments)} arguments")
    texts = arguments if function.texts < 0 else arguments[: function.texts]
    if wrong := [one for one in texts if not isinstance(one, str)]:
        raise ValueError(f"{name} takes a string, not a {type_name(wrong[0])}")
    return function.run(*arguments)


def _index(item: Value, *keys: Value) -> Value:
    if is_nil(item):
        raise ValueError("nil has no items")
    for key in keys:
        if isinstance(item, dict):
            if not isinstance(key, str):
                raise ValueError(f"the keys of a map are strings, not {type_name(key)}")
            item = item.get(key)
        elif isinstance(item, list):
            item = item[_position(key, len(item) - 1)]
        elif isinstance(item, str):
            data = to_bytes(item)
            item = Byte(data[_position(key, len(data) - 1)])
        else:
            raise ValueError(f"a {type_name(item)} has no items")
    return item


def _slice(item: Value, *bounds: Value) -> Value:
    if not isinstance(item, str | list):
        raise ValueError(f"a {type_name(item)} can't be sliced")
    if len(bounds) > (2 if isinstance(item, str) else 3):
        raise ValueError("slice has too many bounds")
    whole: Any = to_bytes(item) if isinstance(item, str) else item
    places = [_position(bound, len(whole)) for bound in bounds]
    if places != sorted(places):
        raise ValueError(f"the bounds {places} aren't in order")
    start, end = (*places, *(0, len(whole))[len(places) :])[:2]
    part = whole[start:end]
    return from_bytes(part) if isinstance(item, str) else type(item)(part)


def _position(value: Value, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"a place is an integer, not a {type_name(value)}")
    if not 0 <= value <= most:
        raise ValueError(f"there is no place {value}")
    return value


def _len(item: Value) -> int:
    if isinstance(item, str):
        return len(to_bytes(item))
    if isinstance(item, list | dict):
        return len(item)
    raise ValueError(f"a {type_name(item)} has no length")


def _println(*values: Value) -> str:
    return " ".join(map(plain, values)) + "\n"


def _printed(values: tuple[Value, ...]) -> str:
    return sprint(["<no value>" if is_nil(value) else value for value in values])


def _call(function: Value, *_: Value) -> Value:
    raise ValueError(f"a {type_name(function)} can't be called")


def _unreachable(*_: Value) -> Value:
    raise AssertionError


def _today(*_: Value) -> str:
    return f"{datetime.now().astimezone():%Y-%m-%d}"


def _yesterday(*_: Value) -> str:
    return f"{datetime.now().astimezone() - timedelta(days=1):%Y-%m-%d}"


FUNCTIONS: Mapping[str, Function] = {
    "and": Function(_unreachable, 1, _ANY),
    "or": Function(_unreachable, 1, _ANY),
    "not": Function(lambda value: not is_true(value), 1, 1),
    "eq": Function(lambda first, *others: comparing.equals_any(first, others), 1, _ANY),
    "ne": Function(lambda first, second: not comparing.equals_any(first, (second,)), 2, 2),
    "lt": Function(comparing.is_less, 2, 2),
    "le": Function(lambda first, second: comparing.is_less(first, second) or first == second, 2, 2),
    "gt": Function(lambda first, second: not (comparing.is_less(first, second) or first == second), 2, 2),
    "ge": Function(lambda first, second: not comparing.is_less(first, second), 2, 2),
    "len": Function(_len, 1, 1),
    "index": Function(_index, 1, _ANY),
    "slice": Function(_slice, 1, _ANY),
    "print": Function(lambda *values: sprint(list(values)), 0, _ANY),
    "printf": Function(lambda form, *values: sprintf(form, list(values)), 1, _ANY, texts=1),
    "println": Function(_println, 0, _ANY),
    "html": Function(lambda *values: escaping.html(_printed(values)), 0, _ANY),
    "js": Function(lambda *values: escaping.javascript(_printed(values)), 0, _ANY),
    "urlquery": Function(lambda *values: escaping.query(_printed(values)), 0, _ANY),
    "call": Function(_call, 1, _ANY),
    "json": Function(to_json, 1, 1),
    "currentDate": Function(_today, 0, _ANY, texts=-1),
    "yesterdayDate": Function(_yesterday, 0, _ANY, texts=-1),
    "toTypeScriptType": Function(type_script, 1, 1),
}
