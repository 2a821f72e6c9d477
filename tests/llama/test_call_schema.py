"""Schemas of demanded calls, as grammars over the real vocabulary."""

import json
from typing import Any

import msgspec
import pytest

from swell.errors import InvalidRequestError
from swell.llama.grammar import GrammarCompiler
from swell.llama.model import LlamaModel
from swell.text.prompts.calls import call_schema
from swell.text.prompts.messages import Tool

TOOLS = msgspec.convert(
    [
        {"function": {"name": "now"}},
        {
            "function": {
                "name": "draw",
                "parameters": {
                    "properties": {"tree": {"$ref": "#/$defs/tree"}, "size": {"type": "integer, null"}},
                    "required": ["tree", "size"],
                    "additionalProperties": False,
                    "$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
                },
            }
        },
        {"function": {"name": "other"}},
    ],
    list[Tool],
)
NOW: dict[str, Any] = {"name": "now", "arguments": {}}
DRAW: dict[str, Any] = {"name": "draw", "arguments": {"tree": [[], [[]]], "size": 1}}


def allows(model: LlamaModel, names: list[str], document: object) -> bool:
    grammar = GrammarCompiler(model.vocabulary).compile(call_schema(TOOLS, names))
    for token in model.vocabulary.tokenize(json.dumps(document), add_special=False, parse_special=False):
        if not grammar.allows(token):
            return False
        grammar.accept(token)
    return grammar.allows(model.vocabulary.eos)


@pytest.mark.parametrize(
    ("names", "document", "allowed"),
    [
        (["now"], NOW, True),
        (["now"], DRAW, False),
        (["now", "draw"], DRAW, True),
        (["now", "draw"], {**DRAW, "arguments": {"tree": [], "size": None}}, True),
        (["now", "draw"], {**DRAW, "arguments": {"tree": [1], "size": 1}}, False),
        (["now", "draw"], {**DRAW, "arguments": {"tree": []}}, False),
        (["now", "draw"], {"name": "other", "arguments": {}}, False),
        (["now"], {"name": "now"}, False),
        (["now"], [NOW], False),
    ],
)
def test_only_calls_of_the_named_tools(model: LlamaModel, names: list[str], document: object, allowed: bool) -> None:
    assert allows(model, names, document) is allowed


def test_a_tool_that_is_not_there() -> None:
    with pytest.raises(InvalidRequestError, match="no tool called 'never'"):
        call_schema(TOOLS, ["now", "never"])
