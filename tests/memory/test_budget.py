import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.memory.budget import parse_budget

TOTAL_BYTES = 24_000_000_000


@pytest.mark.parametrize(
    ("text", "limit_bytes"),
    [
        ("1073741824", 1 << 30),
        ("100B", 100),
        ("8GB", 8_000_000_000),
        ("8GiB", 8 << 30),
        ("8gib", 8 << 30),
        ("8G", 8_000_000_000),
        ("8Gi", 8 << 30),
        ("512MB", 512_000_000),
        ("1.5GiB", 3 << 29),
        (".5k", 500),
        (" 2 TB ", 2_000_000_000_000),
        ("60%", 14_400_000_000),
        ("100 %", TOTAL_BYTES),
        ("0.1%", 24_000_000),
        ("33.3%", 7_992_000_000),
    ],
)
def test_budgets(text: str, limit_bytes: int) -> None:
    assert parse_budget(text).limit_bytes(TOTAL_BYTES) == limit_bytes


@pytest.mark.parametrize(
    "text", ["", "GB", "8 GB free", "-1", "8XB", "1e9", "%", "60%%", "8G iB", "１GB", "8\u0130B", "."]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is neither bytes"):
        parse_budget(text)


@pytest.mark.parametrize("text", ["0", "0GB", "0.1B", "0%", "101%"])
def test_nothing_and_more_than_everything_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is less than one byte|at most 100%"):
        parse_budget(text)


@given(st.integers(1, 100), st.integers(0, 1 << 50))
def test_a_share_never_exceeds_what_there_is(percent: int, total_bytes: int) -> None:
    assert parse_budget(f"{percent}%").limit_bytes(total_bytes) == total_bytes * percent // 100
