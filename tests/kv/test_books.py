"""The books of a store, and what a recount of them finds."""

from collections.abc import Callable

import pytest

from swell.kv.admission import OpenAdmission
from swell.kv.books import Books

MOST = 100


def books_of(slots: int = 2, claimed: int = 0) -> Books:
    made = Books(slots, OpenAdmission())
    assert made.claim(claimed) is None
    return made


def store(cells: int, written: int, granted: int) -> Callable[[Books], None]:
    def change(books: Books) -> None:
        state = books.cells[1]
        state.stored, state.written, state.granted = cells, written, granted

    return change


def book(claimed: int, granted: int) -> Callable[[Books], None]:
    def change(books: Books) -> None:
        books.claimed_bytes = claimed
        books.admission = OpenAdmission(granted)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (store(0, 0, 0), []),
        (store(MOST, MOST, MOST), []),
        (store(5, 4, 9), ["slot 1 has 5 cells stored, 4 written and 9 granted, of 100"]),
        (store(1, 5, 4), ["slot 1 has 1 cells stored, 5 written and 4 granted, of 100"]),
        (store(0, 0, 101), ["slot 1 has 0 cells stored, 0 written and 101 granted, of 100"]),
        (store(-1, 0, 0), ["slot 1 has -1 cells stored, 0 written and 0 granted, of 100"]),
        (
            book(6, 7),
            [
                "the cache claims 6 bytes, and its grants take 7",
                "admission has granted 7 bytes, and the cache claims 6",
            ],
        ),
        (book(7, 8), ["admission has granted 8 bytes, and the cache claims 7"]),
        (book(8, 8), ["the cache claims 8 bytes, and its grants take 7"]),
    ],
)
def test_a_recount_finds_what_does_not_agree(change: Callable[[Books], None], expected: list[str]) -> None:
    books = books_of(claimed=7)
    change(books)
    assert books.check_integrity(lambda: books.faults(MOST, 7)) == expected


def test_what_is_claimed_is_what_was_granted_and_not_released() -> None:
    books = books_of(claimed=7)
    books.release(3)
    assert books.claimed_bytes == 4
    books.claim(2)
    books.clear()
    assert books.claimed_bytes == books.admission.granted_bytes == 0


def test_nothing_is_wrong_in_the_midst_of_a_change() -> None:
    books = books_of(claimed=7)

    def recount() -> list[str]:
        return books.faults(MOST, 0)

    with books.changing():
        with books.changing():
            assert recount() != []
            assert books.check_integrity(recount) == []
        assert books.check_integrity(recount) == []
    assert books.check_integrity(recount) == recount() != []


def test_a_change_that_failed_has_ended() -> None:
    books = books_of(claimed=7)
    with pytest.raises(ValueError, match="failed"), books.changing():
        raise ValueError("failed")
    assert books.check_integrity(lambda: ["wrong"]) == ["wrong"]


def test_numbers_that_change_while_they_are_read_are_read_again() -> None:
    books, looks = books_of(), list[int]()

    def recount() -> list[str]:
        looks.append(len(looks))
        if len(looks) == 1:
            with books.changing():  # by the engine's thread, between two of the numbers
                pass
        return ["wrong"]

    assert books.check_integrity(recount) == ["wrong"]
    assert looks == [0, 1]
