"""Writing Modelfiles, so that `parsing` reads what was meant."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from swell.modelfile.instructions import Instruction
from swell.modelfile.parameters import is_integer
from swell.modelfile.quoting import QUOTES, can_be_quoted, quoted

_OTHER_QUOTES = "'''"
_LINE_END = re.compile(r"\r\n|\r|\n")


def write_modelfile(instructions: Iterable[Instruction], heading: Iterable[str] = ()) -> str:
    """A Modelfile of these instructions below comments.

    Two things no Modelfile can hold. What would be refused, such as a PARAMETER that nobody knows, becomes a comment.
    In texts with a line that ends with three quotes, all of those become single ones, and a comment says so.
    """
    lines = [*(f"# {line}" for line in heading), ""]
    for one in instructions:
        lines += _written(one)
    return "\n".join(lines) + "\n"


def parameter_instructions(parameters: Mapping[str, Any]) -> Iterator[Instruction]:
    """A PARAMETER for each value, and for each item of lists."""
    for name, value in each_parameter(parameters):
        if is_integer(name) and isinstance(value, float) and value.is_integer():
            value = int(value)
        yield Instruction("parameter", plain(value), name)


def each_parameter(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The parameters one by one, lists item by item, without those that aren't set."""
    for name, value in parameters.items():
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                yield name, item


def plain(value: Any) -> str:
    """`value` as text, booleans as Go writes them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _written(one: Instruction) -> list[str]:
    head = " ".join(filter(None, (one.name.upper(), one.key)))
    if one.fault:
        return [f"# {line}" for line in _LINE_END.split(f"{head} {one.text}")]
    if can_be_quoted(one.text):
        return [f"{head} {quoted(one.text)}"]
    changed = one.text.replace(QUOTES, _OTHER_QUOTES)
    note = f"# A Modelfile can't hold lines that end with {QUOTES}: here they are {_OTHER_QUOTES}."
    return [note, f"{head} {quoted(changed)}"]
