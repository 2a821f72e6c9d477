"""The type of a tool's argument in TypeScript, in which gpt-oss reads its tools."""

from swell.gotemplate.values import Record, Value

_NAMES = {
    "string": "string",
    "number": "number",
    "integer": "number",
    "boolean": "boolean",
    "array": "any[]",
    "object": "Record<string, any>",
    "null": "null",
}


def type_script(value: Value) -> str:
    """The type of a property of a JSON schema; `any` for everything else."""
    if not isinstance(value, Record):
        return "any"
    choices, types = value.fields.get("AnyOf"), value.fields.get("Type")
    if isinstance(choices, list) and choices:
        return " | ".join(map(type_script, choices))
    if isinstance(types, list) and types:
        return " | ".join(_NAMES.get(str(one), "any") for one in types)
    return "any"
