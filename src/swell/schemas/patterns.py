"""What of a schema's patterns llguidance can follow: all but assertions, which look around."""

import logging
import re
from functools import lru_cache

from swell.schemas.walk import Schema, mapped

log = logging.getLogger(__name__)

_PIECES = re.compile(
    r"""(?P<looks>\(\?<?[=!])   # the beginning of one that looks ahead or behind
    | (?P<opens>\() | (?P<closes>\))
    | (?P<boundary>\\[bB])
    | \\. | \[\^?\]?(?:\\.|[^\]\\])*\]   # a character, a class of characters
    """,
    re.VERBOSE | re.DOTALL,
)


def followable(schema: Schema) -> Schema:
    """`schema` with only what llguidance can follow of its patterns.

    A text is bound by its pattern without assertions, which allows more: pydantic's `Decimal` stays a number.
    """
    if not isinstance(schema, dict):
        return schema
    kept = mapped(schema, lambda _key, one: followable(one))
    if isinstance(pattern := kept.get("pattern"), str) and _looks(pattern):
        log.warning("a JSON schema binds less than it says: the pattern %.100s looks around", pattern)
        kept["pattern"] = without_assertions(pattern)
        if not _is_followed(kept["pattern"]):
            del kept["pattern"]
    if isinstance(named := kept.get("patternProperties"), dict):
        kept["patternProperties"] = {pattern: one for pattern, one in named.items() if not _looks(pattern)}
        if kept["patternProperties"] != named:
            kept.setdefault("additionalProperties", True)
    return kept


def without_assertions(pattern: str) -> str:
    """`pattern` without what matches no character: looking ahead and behind, and the boundaries of words."""
    kept: list[str] = []
    end = depth = 0
    asserting: int | None = None
    """How deep the assertion is that is being passed over."""
    for piece in _PIECES.finditer(pattern):
        if asserting is None:
            kept.append(pattern[end : piece.start()])
        end = piece.end()
        depth += (piece.lastgroup in ("looks", "opens")) - (piece.lastgroup == "closes")
        if asserting is not None:
            asserting = None if depth < asserting else asserting
        elif piece.lastgroup == "looks":
            asserting = depth
        elif piece.lastgroup != "boundary":
            kept.append(piece[0])
    return "".join(kept) + pattern[end:]


def _looks(pattern: str) -> bool:
    """Whether it can't be followed, but is a pattern: what is none stays, and is refused."""
    return not _is_followed(pattern) and _is_pattern(pattern)


@lru_cache(maxsize=256)
def _is_followed(pattern: str) -> bool:
    """Whether llguidance can follow `pattern`."""
    from llguidance import LLMatcher

    return not LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema({"type": "string", "pattern": pattern}))


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True
