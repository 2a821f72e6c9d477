"""Options: defaults, precedence and rules for types."""

import contextlib
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import InvalidOptionError, InvalidRequestError
from swell.options import Options, merge


def test_defaults() -> None:
    assert merge() == merge({}) == Options()


def test_the_first_layer_wins_and_null_is_absent() -> None:
    merged = merge({"seed": 1, "top_k": None}, {"seed": 2, "top_k": 3}, {"top_k": 4, "min_p": 0.1})

    assert (merged.seed, merged.top_k, merged.min_p) == (1, 3, 0.1)


def test_values() -> None:
    merged = merge(
        {
            "num_ctx": 4096.9,
            "temperature": 1,
            "stop": ["a", "", "b"],
            "use_mmap": False,
            "seed": 2**40,
            "num_keep": 1e30,
        }
    )

    assert merged.num_ctx == 4096
    assert merged.temperature == 1.0
    assert merged.stop == ("a", "b")
    assert merged.use_mmap is False
    assert merged.seed == 2**40
    assert merged.num_keep == 2**31 - 1


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("num_ctx", "4096", "integer"),
        ("num_ctx", True, "integer"),
        ("temperature", "hot", "float32"),
        ("temperature", 10**400, "float32"),
        ("use_mmap", 1, "boolean"),
        ("stop", "end", "array"),
        ("stop", ["a", 1], "an array of strings"),
    ],
)
def test_wrong_types(name: str, value: object, expected: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        merge({name: value})
    assert str(caught.value) == f'option "{name}" must be of type {expected}'


def test_unknown_names_are_warned_of_and_retired_ones_are_not(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert merge({"numa": True, "f16_kv": "x", "tepmerature": 1}) == Options()

    assert [record.getMessage() for record in caplog.records] == ["ignoring unknown options: 'tepmerature'"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(Options.__struct_fields__), _json))
def test_any_json_gives_options_or_a_typed_error(layer: dict[str, object]) -> None:
    with contextlib.suppress(InvalidOptionError, InvalidRequestError):
        assert isinstance(merge(layer), Options)


def test_any_number_of_unknown_names_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    merge({"x" * 1000 + str(number): 1 for number in range(1000)})
    (record,) = caplog.records
    assert record.getMessage().endswith("and 990 more")
    assert len(record.getMessage()) < 1000


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mirostat": 3}, 'option "mirostat" must be 0, 1 or 2'),
        ({"mirostat": -1}, 'option "mirostat" must be 0, 1 or 2'),
        ({"stop": ["x"] * 65}, 'option "stop" has more than 64 strings'),
        ({"stop": ["x" * 1001]}, 'option "stop" has a string of more than 1000 characters'),
    ],
)
def test_what_cannot_be_is_the_requests_failure(options: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        merge(options)
    assert str(caught.value) == text
