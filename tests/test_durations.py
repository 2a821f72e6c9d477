import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.durations import format_duration, keep_alive_s, parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("-1s", -1), ("1.5s", 1.5), ("0", 0), ("2ms", 0.002), ("3µs", 3e-6), (".5h", 1800)],
)
def test_reads_what_go_reads(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10", 'time: missing unit in duration "10"'),
        ("", 'time: invalid duration ""'),
        ("5 m", 'time: missing unit in duration "5 m"'),
        ("1y", 'time: unknown unit "y" in duration "1y"'),
        ("--1s", 'time: invalid duration "--1s"'),
        ("s", 'time: invalid duration "s"'),
    ],
)
def test_refuses_what_go_refuses_in_its_words(text: str, message: str) -> None:
    with pytest.raises(ValueError, match="time:") as caught:
        parse_duration_s(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [1e12, 1e308, 2**53 - 1, 2**63, "9999999999h", "9" * 90 + "s"])
def test_a_keep_alive_that_no_clock_holds_is_forever(value: float | str) -> None:
    assert keep_alive_s(value) == math.inf


@pytest.mark.parametrize("text", ["1" * 5_000_000 + "s", "1s" * 2_500_000, "x" * 5_000_000])
def test_an_endless_duration_is_refused_in_few_words(text: str) -> None:
    with pytest.raises(ValueError, match="time: invalid duration") as caught:
        parse_duration_s(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("value", "seconds"), [(-1, math.inf), ("-5m", math.inf), (0, 0), (2.5, 2.5), ("2m", 120)])
def test_a_negative_keep_alive_is_forever(value: float | str, seconds: float) -> None:
    assert keep_alive_s(value) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1.234567891, "1.234567891s"),
        (0.0123, "12.3ms"),
        (123.5, "2m3.5s"),
        (3600, "1h0m0s"),
        (-0.5, "-500ms"),
    ],
)
def test_prints_as_go_prints(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(nanoseconds=st.integers(0, 10**15))
def test_what_is_printed_can_be_read(nanoseconds: int) -> None:
    assert parse_duration_s(format_duration(nanoseconds / 1e9)) == pytest.approx(nanoseconds / 1e9, rel=1e-9, abs=1e-9)
