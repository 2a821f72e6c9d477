import pickle

import pytest

from swell import errors
from swell.errors import KvGrowError, RunnerLostError, SwellError, UnexpectedError, from_data, to_data

GROWTH = KvGrowError(from_cells=2048, to_cells=3072, max_cells=8192, needed_bytes=23_592_960, free_bytes=12_100_000)


def test_a_refused_growth_reads_with_its_numbers() -> None:
    assert str(GROWTH) == (
        "insufficient memory while expanding the KV cache: cells 2048 → 3072, max 8192, needs 23.6 MB, 12.1 MB free"
    )


@pytest.mark.parametrize(
    "error", [GROWTH, RunnerLostError(-9), errors.ModelNotFoundError("x"), errors.NoRoomError(1, 8)]
)
def test_errors_cross_a_process_boundary_whole(error: SwellError) -> None:
    for copy in (from_data(*to_data(error)), pickle.loads(pickle.dumps(error))):
        assert type(copy) is type(error)
        assert vars(copy) == vars(error)
        assert str(copy) == str(error)


def test_a_stranger_becomes_an_unexpected_error() -> None:
    copy = from_data(*to_data(ZeroDivisionError("division by zero")))
    assert isinstance(copy, UnexpectedError)
    assert str(copy) == "ZeroDivisionError: division by zero"


def test_an_unknown_kind_is_not_lost() -> None:
    assert "TooNewError" in str(from_data("TooNewError", {"cells": 5}))


def test_the_tree_is_drawn_as_it_is() -> None:
    drawn = {word for word in (errors.__doc__ or "").split() if word.endswith("Error")}
    assert drawn | {"UnexpectedError"} == {*SwellError.kinds, "SwellError"} - _of_other_modules()


def test_all_of_the_tree_is_imported_from_the_package() -> None:
    assert {*SwellError.kinds, "SwellError"} - _of_other_modules() <= set(errors.__all__)


def _of_other_modules() -> set[str]:
    return {name for name, cls in SwellError.kinds.items() if not cls.__module__.startswith(f"{errors.__name__}.")}
