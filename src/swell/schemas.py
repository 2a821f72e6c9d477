"""JSON schemas that output must follow: read the same way where they are checked and where they are used."""

from typing import TYPE_CHECKING

from swell.errors import InvalidRequestError

if TYPE_CHECKING:
    from llguidance import LLParserLimits

_WHITESPACE = r"( |\n{1,2}[ \t]{0,20})?"  # bounded, as in llama.cpp: small models like to write nothing else


def grammar_of(schema: str) -> str:
    """The documents that `schema` allows, as a grammar of llguidance's; raises InvalidRequestError for what is no JSON
    object. What llguidance doesn't know in a schema doesn't bind the output."""
    from llguidance import LLMatcher

    try:
        return LLMatcher.grammar_from_json_schema(
            schema, overrides={"whitespace_pattern": _WHITESPACE, "lenient": True}
        )
    except ValueError as error:
        raise unfollowable(str(error)) from error


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
