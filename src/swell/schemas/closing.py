"""Objects have the properties that their schema declares and no others, unless it says otherwise. Pure.

By the specification, a schema that is silent about `additionalProperties` allows any. Then small models invent
properties until they are cut, and nobody who wrote such a schema meant that; llama.cpp's own grammars are closed, too.
"""

from collections.abc import Iterator
from typing import Any

from swell.schemas.walk import IN_PLACE, Schema, mapped, target

_DECLARING = ("properties", "patternProperties")
_OPEN_NAME = "swell-open-"  # no client's definitions are called so


def closed(schema: Schema) -> Schema:
    """`schema`, closed: all of its objects that declare properties and don't speak of others."""
    return _Closing(schema).run()


class _Closing:
    """One schema being closed.

    An object whose description is spread over several places is closed in the outermost of them, by all names that any
    of them declares. What a `$ref` stands for there must be left open, although others may refer to it alone; so there
    are two of it.
    """

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._names_of: dict[str, str] = {}
        self._opened: dict[str, Schema] = {}

    def run(self) -> Schema:
        result = self._visit(self._root, is_part=False)
        if self._opened:
            result["$defs"] = {**_dict(result.get("$defs")), **self._opened}
        return result

    def _visit(self, schema: Schema, *, is_part: bool) -> Schema:
        """A copy of `schema`, closed. Where it `is_part` of a description, others say more about the same object."""
        if not isinstance(schema, dict):
            return schema
        are_parts = is_part or self._has_parts(schema)
        copy = mapped(schema, lambda key, one: self._visit(one, is_part=are_parts and key in IN_PLACE))
        if are_parts and "$ref" in copy:
            copy["$ref"] = self._open(copy["$ref"])
        if is_part or self._speaks(schema, set()) or not self._declares(schema):
            return copy
        own = _dict(copy.get("properties"))
        others = (name for name in (*self._names(schema, set()), *self._required(schema, set())) if name not in own)
        copy["properties"] = {**own, **dict.fromkeys(others, True)}
        copy["additionalProperties"] = False
        return copy

    def _open(self, reference: Any) -> Any:
        """A reference to what `reference` means, left open."""
        meant = target(self._root, reference)
        if not isinstance(meant, dict):
            return reference
        if reference not in self._names_of:  # which it may contain itself
            name = self._names_of[reference] = f"{_OPEN_NAME}{len(self._names_of)}"
            self._opened[name] = self._visit(meant, is_part=True)
        return f"#/$defs/{self._names_of[reference]}"

    def _has_parts(self, schema: dict[str, Any]) -> bool:
        """Whether more than one place describes an object, so that none of them can be closed alone."""
        lists = [schema[key] for key in IN_PLACE if isinstance(schema.get(key), list)]
        places = len(lists) + ("$ref" in schema) + any(key in schema for key in _DECLARING)
        all_of = schema.get("allOf")
        return places > 1 or (isinstance(all_of, list) and len(all_of) > 1)

    def _parts(self, schema: dict[str, Any]) -> Iterator[Schema]:
        for key in IN_PLACE:
            if isinstance(several := schema.get(key), list):
                yield from several
        if "$ref" in schema:
            yield target(self._root, schema["$ref"])

    def _names(self, schema: Schema, seen: set[int]) -> Iterator[str]:
        """All properties that are declared for the same object, in the order in which they are."""
        if isinstance(schema, dict) and id(schema) not in seen:
            seen.add(id(schema))
            if isinstance(declared := schema.get("properties"), dict):
                yield from declared
            for part in self._parts(schema):
                yield from self._names(part, seen)

    def _required(self, schema: Schema, seen: set[int]) -> Iterator[str]:
        """All properties that the same object must have, whether or not anything else is said of them."""
        if isinstance(schema, dict) and id(schema) not in seen:
            seen.add(id(schema))
            if isinstance(required := schema.get("required"), list):
                yield from (name for name in required if isinstance(name, str))
            for part in self._parts(schema):
                yield from self._required(part, seen)

    def _declares(self, schema: dict[str, Any]) -> bool:
        """Whether it says itself what an object is; what has one part only is closed there."""
        return any(isinstance(schema.get(key), dict) for key in _DECLARING) or (
            self._has_parts(schema) and next(self._names(schema, set()), None) is not None
        )

    def _speaks(self, schema: Schema, seen: set[int]) -> bool:
        """Whether anything says which other properties there may be."""
        if not isinstance(schema, dict) or id(schema) in seen:
            return False
        seen.add(id(schema))
        if "additionalProperties" in schema or schema.get("unevaluatedProperties", False) is not False:
            return True
        return any(self._speaks(part, seen) for part in self._parts(schema))


def _dict(value: Any) -> dict[str, Any]:
    """`value`, where it is what it should be."""
    return value if isinstance(value, dict) else {}
