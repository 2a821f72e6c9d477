from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from swell.cli.live.bars import ASCII, UNICODE, bar, glyphs_for, shares

tokens = st.integers(0, 2**31)


@given(tokens, tokens, tokens, st.integers(-3, 300))
def test_a_bar_is_as_wide_as_asked(used: int, granted: int, ceiling: int, columns: int) -> None:
    for glyphs in (UNICODE, ASCII):
        text = "".join(span.text for span in bar(used, granted, ceiling, columns, glyphs))
        assert cell_len(text) == (columns if columns > 2 else 0)


@given(tokens, tokens, tokens, st.integers(3, 300))
def test_what_is_not_nothing_is_seen(used: int, granted: int, ceiling: int, columns: int) -> None:
    widths = shares(used, granted, ceiling, columns)
    assert sum(widths) == columns
    beyond = max(granted, used) - used
    free = max(granted, used, ceiling) - max(granted, used)
    for part, width in zip((used, beyond, free), widths, strict=True):
        assert (width > 0) == (part > 0) or (not any((used, beyond, free)) and width in (0, columns))


@given(tokens, tokens, st.integers(1, 100))
def test_more_tokens_never_make_a_shorter_bar(used: int, more: int, columns: int) -> None:
    ceiling = 2**32
    before, after = shares(used, used, ceiling, columns), shares(used + more, used + more, ceiling, columns)
    assert before[0] <= after[0]


def test_a_bar_in_proportion() -> None:
    assert "".join(span.text for span in bar(2, 5, 10, 12, ASCII)) == "[##===.....]"
    assert "".join(span.text for span in bar(0, 0, 0, 7, UNICODE)) == "▕·····▏"


def test_terminals_without_unicode_get_ascii() -> None:
    assert [glyphs_for(name) for name in ("utf-8", "ascii", "latin-1", "no such")] == [UNICODE, ASCII, ASCII, ASCII]
