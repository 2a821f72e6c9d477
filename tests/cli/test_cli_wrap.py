import re

from swell.cli.wrap import WordWrap


def shown(columns: int, *pieces: str) -> str:
    """What a terminal would show: cursor-back and erase-to-end-of-line carried out."""
    wrap = WordWrap()
    text = ""
    for part in re.split(r"(\x1b\[\d+D)", "".join(wrap.feed(piece, columns) for piece in pieces).replace("\x1b[K", "")):
        back = re.fullmatch(r"\x1b\[(\d+)D", part)
        text = text[: -int(back[1])] if back else text + part
    return text


def test_short_lines_stay() -> None:
    assert shown(80, "Hello ", "wor", "ld\n", "again") == "Hello world\nagain"


def test_a_word_that_does_not_fit_moves_down_whole() -> None:
    assert shown(15, "one tw", "o three four") == "one two \nthree four"


def test_a_blank_at_the_edge_becomes_the_line_break() -> None:
    assert shown(15, "0123456789 next") == "0123456789\nnext"


def test_a_word_longer_than_the_line_is_cut() -> None:
    assert shown(15, "x" * 25) == "x" * 10 + "\n" + "x" * 10 + "\n" + "x" * 5


def test_wide_characters_fill_two_columns() -> None:
    assert shown(15, "模" * 7) == "模" * 5 + "\n" + "模" * 2


def test_lines_follow_a_terminal_that_is_resized() -> None:
    wrap = WordWrap()
    assert wrap.feed("0123456789 ", 15) + wrap.feed("0123456789 0123", 30) == "0123456789\n0123456789 0123"
