"""Whether a JSON schema has a document that comes to an end. Pure."""

from typing import Any

from swell.schemas.walk import Schema, inner, target


def has_document(schema: Schema) -> bool:
    """False where every document would have to contain another one without end, or a reference means only itself.

    Documents are found from the simplest on, until there are no more schemas that have one.
    """
    parts = _Parts(schema)
    while parts.learn():
        pass
    return parts.ends(schema)


class _Parts:
    """All schemas within one, and which of them are known to have a document."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._ending = set[int]()
        self._all = list[dict[str, Any]]()
        self._collect(root)
        self._all.reverse()  # inner ones come first, so that mostly one look is enough

    def learn(self) -> bool:
        """Look at those that aren't known yet; whether there was something to learn."""
        found = {id(one) for one in self._all if id(one) not in self._ending and self._look(one)}
        self._ending |= found
        return bool(found)

    def ends(self, schema: Schema) -> bool:
        return id(schema) in self._ending if isinstance(schema, dict) else schema is not False

    def _collect(self, schema: Schema) -> None:
        if isinstance(schema, dict):
            self._all.append(schema)
            for one in inner(schema):
                self._collect(one)

    def _look(self, schema: dict[str, Any]) -> bool:
        if "enum" in schema or "const" in schema:
            return True
        if "$ref" in schema:
            meant = target(self._root, schema["$ref"])
            if meant is not None and not self.ends(meant):
                return False
        if not all(self.ends(one) for one in _list(schema.get("allOf"))):
            return False
        if any(several and not any(map(self.ends, several)) for several in map(_list, _choices(schema))):
            return False
        match schema.get("type"):
            case "object" | ["object"]:
                declared = schema.get("properties")
                required = _list(schema.get("required"))
                return not isinstance(declared, dict) or all(
                    self.ends(declared[name]) for name in required if isinstance(name, str) and name in declared
                )
            case "array" | ["array"] if schema.get("minItems"):
                first = [*_list(schema.get("prefixItems")), schema.get("items", True)][0]
                return self.ends(first)
        return True


def _choices(schema: dict[str, Any]) -> tuple[Any, Any]:
    return schema.get("anyOf"), schema.get("oneOf")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
