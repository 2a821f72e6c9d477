"""Patterns without what llguidance doesn't know."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.schemas.patterns import followable, without_assertions

DECIMAL = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"
"""As pydantic writes it."""


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        (DECIMAL, r"^[+-]?0*\d*\.?\d*$"),
        (r"^(?!\.)(?!.*\.\.)([a-z.]+)@([a-z]+\.)+[a-z]{2,}$", r"^([a-z.]+)@([a-z]+\.)+[a-z]{2,}$"),
        (r"^P(?:(\d+W)|(?!.*W)(?=\d|T\d)(\d+Y)?(T(?=\d)(\d+H)?)?)$", r"^P(?:(\d+W)|(\d+Y)?(T(\d+H)?)?)$"),
        (r"a(?<!b(c(?=d)))e(?<=\))f", "aef"),
        (r"\bword\B", "word"),
        (r"[(?=)\]]\(\\[\b]", r"[(?=)\]]\(\\[\b]"),
        (r"[]()](?=x)", "[]()]"),
    ],
)
def test_assertions_are_left_out(pattern: str, kept: str) -> None:
    assert without_assertions(pattern) == kept


_ATOMS = st.sampled_from(["a", "b", "[ab]", r"\.", "(?:ab)", "(a|b)", "a?", "b{1,2}", "[(]"])
_ASSERTIONS = st.sampled_from(["(?=a)", "(?!b)", "(?<=a)", "(?<![(])", r"\b", "(?!(a(?=b)))", r"(?=\))"])


@given(st.lists(_ATOMS | _ASSERTIONS, max_size=6), st.text("ab.(", max_size=5))
def test_more_is_allowed_without_them_never_less(pieces: list[str], text: str) -> None:
    pattern = "".join(pieces)
    if re.fullmatch(pattern, text):
        assert re.fullmatch(without_assertions(pattern), text)


def test_the_rest_of_a_pattern_binds() -> None:
    inner = {"type": "string", "pattern": DECIMAL}
    assert followable({"properties": {"price": inner}}) == {
        "properties": {"price": {"type": "string", "pattern": r"^[+-]?0*\d*\.?\d*$"}}
    }
    assert followable({"type": "string", "pattern": "(?=a)?"}) == {"type": "string"}
