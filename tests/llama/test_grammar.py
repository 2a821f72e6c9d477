"""JSON schemas as grammars over the real vocabulary."""

import json
from typing import Any

import pytest

from swell.errors import InvalidRequestError
from swell.llama.grammar import COMPILED_MAX, Grammar, GrammarCompiler
from swell.llama.model import LlamaModel


@pytest.fixture(scope="module")
def compiler(model: LlamaModel) -> GrammarCompiler:
    return GrammarCompiler(model.vocabulary)


def takes(grammar: Grammar, model: LlamaModel, text: str) -> bool:
    """Whether `text` as a whole is a document of the grammar."""
    for token in model.vocabulary.tokenize(text, add_special=False, parse_special=False):
        if not grammar.allows(token):
            return False
        grammar.accept(token)
    return grammar.allows(model.vocabulary.eos)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "minimum": 3, "maximum": 120}, ["3", "77", "120"], ["2", "121", "3.5", "-4"]),
        ({"type": "number", "exclusiveMinimum": 0}, ["0.5", "12"], ["0", "-1"]),
        ({"type": "string", "pattern": "^[a-c]{2}$"}, ['"ab"'], ['"a"', '"ad"', "ab"]),
        ({"type": "string", "format": "date"}, ['"2026-11-22"'], ['"tomorrow"', '"2026-13-01"']),
        (
            {"type": "array", "items": {"type": "boolean"}, "maxItems": 2},
            ["[]", "[true,false]"],
            ["[1]", "[true,true,true]"],
        ),
        ({"anyOf": [{"const": "x"}, {"type": "null"}]}, ['"x"', "null"], ['"y"']),
        (
            {
                "properties": {"a": {"type": "integer"}, "b": {"properties": {"c": {}}, "type": "object"}},
                "type": "object",
            },
            ["{}", '{"a": 1}', '{"b": {"c": 2}}'],
            ['{"x": 1}', '{"b": {"x": 1}}'],
        ),
        (
            {
                "$defs": {"named": {"type": "object", "properties": {"name": {"type": "string"}}}},
                "allOf": [{"$ref": "#/$defs/named"}, {"properties": {"age": {"type": "integer"}}}],
            },
            ['{"name": "a", "age": 1}'],
            ['{"name": "a", "x": 1}', '{"name": 1}', '{"age": "1"}'],
        ),
        ({"type": "object"}, ["{}", '{"a": [1, {"b": null}]}', '{\n  "a": 1\n}'], ["[]", "1"]),
        (
            {"$defs": {"n": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/n"}},
            ["[1, 2]"],
            ['["1"]'],
        ),
    ],
)
def test_a_schema_allows_its_documents_only(
    compiler: GrammarCompiler, model: LlamaModel, schema: dict[str, Any], good: list[str], bad: list[str]
) -> None:
    for text in good:
        assert takes(compiler.compile(json.dumps(schema)), model, text), text
    for text in bad:
        assert not takes(compiler.compile(json.dumps(schema)), model, text), text


def test_nothing_but_an_end_follows_a_document(compiler: GrammarCompiler, model: LlamaModel) -> None:
    grammar = compiler.compile('{"const": 1}')
    assert not grammar.allows(model.vocabulary.eos)
    assert takes(grammar, model, "1")
    (one,) = model.vocabulary.tokenize("1", add_special=False, parse_special=False)
    assert not grammar.allows(one)


def test_whitespace_is_bounded(compiler: GrammarCompiler, model: LlamaModel) -> None:
    assert not takes(compiler.compile('{"type": "object"}'), model, "{\n\n\n\n}")


@pytest.mark.parametrize(
    "schema",
    [
        '{"type": "bogus"}',
        "nonsense",
        '{"$ref": "#/nowhere"}',
        '{"pattern": "("}',
        '{"$ref": "#"}',
        "[" * 5000,
        "{" * 5000,
    ],
)
def test_what_is_no_schema_is_refused(compiler: GrammarCompiler, schema: str) -> None:
    with pytest.raises(InvalidRequestError, match="invalid format"):
        compiler.compile(schema)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}, '"1.5"', '"one"'),  # pydantic's Decimal
        ({"type": "string", "pattern": r"\bword\b", "maxLength": 4}, '"word"', '"words"'),
        ({"type": "object", "patternProperties": {"^(?=x)": {"type": "null"}}}, '{"y": 1}', "1"),
        ({"const": {"pattern": "(?=x)"}}, '{"pattern": "(?=x)"}', "{}"),
    ],
)
def test_what_of_a_pattern_cannot_be_followed_is_left_out(
    compiler: GrammarCompiler, model: LlamaModel, schema: dict[str, Any], good: str, bad: str
) -> None:
    assert takes(compiler.compile(json.dumps(schema)), model, good)
    assert not takes(compiler.compile(json.dumps(schema)), model, bad)


def test_an_integer_ends(compiler: GrammarCompiler, model: LlamaModel) -> None:
    schema = '{"type": ["integer", "null"]}'
    for text in ("0", "-7", "1234567890123456789", "null"):
        assert takes(compiler.compile(schema), model, text)
    assert not takes(compiler.compile(schema), model, "1" * 20)


def test_what_a_schema_says_in_vain_is_logged(
    compiler: GrammarCompiler, model: LlamaModel, caplog: pytest.LogCaptureFixture
) -> None:
    assert takes(compiler.compile('{"type": "integer", "not": {"const": 1}}'), model, "1")
    assert "not" in caplog.text


def test_the_schemas_used_last_are_kept(model: LlamaModel) -> None:
    compiler = GrammarCompiler(model.vocabulary)
    schemas = [json.dumps({"const": number}) for number in range(COMPILED_MAX + 1)]
    for schema in schemas[:-1]:
        compiler.compile(schema)
    assert compiler.cached(schemas[0]) is not None
    compiler.compile(schemas[-1])
    assert compiler.cached(schemas[1]) is None
    first, again = compiler.cached(schemas[0]), compiler.cached(schemas[0])
    assert first is not None
    assert again is not None
    assert takes(first, model, "0")
    assert takes(again, model, "0")  # each document has a state of its own
