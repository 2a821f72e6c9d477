"""What lines of progress look like, and which of them may still change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from swell.cli.progress import SPINNER, Board, Line

GB = 10**9


def bar(label: str, total: int, *completed: tuple[float, int]) -> Line:
    line = Line(label, total)
    for now_s, size in completed:
        line.reach(size, now_s)
    return line


def test_a_bar_as_ollama_draws_it() -> None:
    line = bar("pulling dde5aa3fc5ff", 2_020_000_000, (0, 760_000_000), (2, 850_000_000))
    assert line.drawn(72, 2) == "pulling dde5aa3fc5ff:  42% ▕█████       ▏ 850 MB/2.0 GB   45 MB/s    26s"


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (80, "pulling x:  50% ▕███████████████                ▏     1 GB/2 GB  100 MB/s    10s"),
        (60, "pulling x:  50% ▕█████      ▏     1 GB/2 GB  100 MB/s    10s"),
        (50, "pulling x:  50% ▕████    ▏     1 GB/2 GB  100 MB/s"),
        (40, "pulling x:  50% ▕████    ▏     1 GB/2 GB"),
        (30, "pulling x:  50% ▕██████      ▏"),
        (20, "pulling x:  50%"),
        (10, "pull:  50%"),
        (4, ":  5"),
        (0, ""),
    ],
)
def test_a_narrow_terminal_shows_what_matters_most(columns: int, text: str) -> None:
    assert bar("pulling x", 2 * GB, (0, 0), (10, GB)).drawn(columns, 10) == text


def test_a_full_bar() -> None:
    line = bar("pulling x", 2 * GB, (0, 0), (10, 2 * GB))
    assert line.is_done
    assert line.drawn(60, 10) == "pulling x: 100% ▕███████████▏ 2 GB"


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """What was there before doesn't count, nor how fast it was at first."""
    line = bar("x", 100 * GB, (0, 50 * GB))
    assert line.rate(0) == line.rate(1) == 0
    line = bar("x", 100 * GB, (0, 50 * GB), (100, 60 * GB), (104, 60 * GB + 400), (108, 60 * GB + 800))
    assert line.rate(108) == 100
    assert line.rate(116) == 50  # nothing comes any more


@pytest.mark.parametrize(("left", "text"), [(26, "26s"), (90, "1m30s"), (3600, "1h0m0s"), (200 * 3600, "99h+")])
def test_the_time_that_is_left(left: int, text: str) -> None:
    assert bar("x", left + 10, (0, 0), (10, 10)).drawn(79, 10).endswith(f" {text}")


def test_a_step_turns_until_it_is_done() -> None:
    line = Line("pulling manifest")
    frames = [line.drawn(40, frame / 10 + 0.05) for frame in range(10)]
    assert frames == [f"pulling manifest {glyph}" for glyph in SPINNER]
    line.is_done = True
    assert line.drawn(40, 0) == "pulling manifest"


@given(
    st.text(max_size=30),
    st.integers(0, 10**15),
    st.lists(st.tuples(st.floats(0, 10**6), st.integers(-1, 10**15)), max_size=5),
    st.integers(0, 200),
)
def test_no_line_is_wider_than_the_terminal(
    label: str, total: int, completed: list[tuple[float, int]], columns: int
) -> None:
    board, now_s = Board(), 0.0
    board.step(label + "?")
    for now_s, size in sorted(completed):
        if total:
            board.bar("k", label, total, size, now_s)
    for line in (*board.settle(), *board.moving):
        drawn = line.drawn(columns, now_s)
        assert cell_len(drawn) <= columns
        assert drawn.isprintable()


def labels(lines: list[Line]) -> list[str]:
    return [line.label for line in lines]


def test_lines_settle_in_their_order() -> None:
    board = Board()
    assert board.step("pulling manifest")
    assert not board.step("pulling manifest")
    assert (labels(board.settle()), labels(board.moving)) == ([], ["pulling manifest"])
    assert board.bar("a", "A", 10, 1, 0)
    assert board.bar("b", "B", 10, 10, 0)
    assert not board.bar("a", "A", 10, 2, 1)
    assert (labels(board.settle()), labels(board.moving)) == (["pulling manifest"], ["A", "B"])
    board.bar("a", "A", 10, 10, 2)
    assert (labels(board.settle()), labels(board.moving)) == (["A", "B"], [])
    board.bar("c", "C", 10, 4, 3)
    board.step("success")
    assert (labels(board.settle()), labels(board.moving)) == (["C"], ["success"])
    board.finish()
    assert labels(board.settle()) == ["success"]


def test_a_step_may_come_again() -> None:
    board = Board()
    assert [board.step(label) for label in ("a", "b", "a")] == [True] * 3


def test_what_would_move_the_cursor_is_not_shown() -> None:
    board = Board()
    board.step("a\x1b[2Jb\nc")
    assert board.latest == "a [2Jb c"
