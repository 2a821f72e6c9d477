"""Grammars of JSON schemas, as llguidance reads them."""

import json
from typing import TYPE_CHECKING

from swell.errors import InvalidRequestError
from swell.schemas.bounding import bounded
from swell.schemas.closing import closed
from swell.schemas.ends import has_document
from swell.schemas.meaning import meant
from swell.schemas.patterns import followable
from swell.schemas.walk import Schema

if TYPE_CHECKING:
    from llguidance import LLParserLimits

_WHITESPACE = r"( |\n{1,2}[ \t]{0,20})?"  # bounded, as in llama.cpp: small models like to write nothing else


def grammar_of(schema: str) -> str:
    """The documents that `schema` allows, as a grammar of llguidance's.

    Objects are closed unless it says otherwise. What llguidance doesn't know in a schema doesn't bind the output.
    Raises InvalidRequestError for what is no schema, or has no document.
    """
    from llguidance import LLMatcher

    try:
        followed = _followed(json.loads(schema))
        return LLMatcher.grammar_from_json_schema(
            json.dumps(followed), overrides={"whitespace_pattern": _WHITESPACE, "lenient": True}
        )
    except ValueError as error:
        raise unfollowable(str(error)) from error
    except RecursionError as error:
        raise unfollowable("it is nested too deep") from error


def _followed(schema: Schema) -> Schema:
    """What of `schema` can be followed, closed and bounded."""
    schema = meant(schema)
    if not has_document(schema):
        raise ValueError("it has no document that comes to an end")
    return closed(bounded(followable(schema)))


def limits() -> "LLParserLimits":
    """What a grammar may take, in llguidance's units.

    A mask then takes 27 ms at worst (measured), mostly 0.2, and a grammar 25 MB. The largest number of states that was
    seen to be of use is 19,000, for 32 documents with texts of up to 1,000,000 characters.
    """
    from llguidance import LLParserLimits

    return LLParserLimits(max_lexer_states=50_000, verbose_errors=False)


def check(schema: str) -> None:
    """Find out whether output can follow `schema`; raises InvalidRequestError. May take any time and memory."""
    from llguidance import LLMatcher

    is_error, messages = LLMatcher.validate_grammar_with_warnings(grammar_of(schema), limits=limits())
    if is_error:
        raise unfollowable(*messages)


def unfollowable(reason: str) -> InvalidRequestError:
    """The error for a schema that output can't follow."""
    return InvalidRequestError(f"invalid format: no output can follow this JSON schema: {reason[:_REASON_MAX]}")


_REASON_MAX = 300
