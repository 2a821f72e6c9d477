from datetime import UTC, datetime, timedelta, timezone

import pytest

from swell.cli.human import human_bytes, human_count, human_span, modified, processor, until

NOW = datetime(2026, 8, 21, 12, tzinfo=timezone(timedelta(hours=-7)))
HOUR_S = 3600
DAY_S = 24 * HOUR_S


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (1024, "1.0 KB"),
        (2_000_000_000, "2 GB"),
        (3_400_000_000, "3.4 GB"),
        (9_990_000_000, "10.0 GB"),
        (10_990_000_000, "10 GB"),
        (145_000_000, "145 MB"),
        (1_500_000_000_000, "1.5 TB"),
    ],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert human_bytes(size_bytes) == text


@pytest.mark.parametrize(
    ("count", "text"), [(999, "999"), (134_515_008, "134.5M"), (3_212_749_888, "3.2B"), (10**12, "1.0T")]
)
def test_counts(count: int, text: str) -> None:
    assert human_count(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "Less than a second"),
        (1.9, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (HOUR_S, "About an hour"),
        (1.5 * HOUR_S, "2 hours"),
        (47.4 * HOUR_S, "47 hours"),
        (47.5 * HOUR_S, "2 days"),
        (13.9 * DAY_S, "13 days"),
        (14 * DAY_S, "2 weeks"),
        (59 * DAY_S, "8 weeks"),
        (60 * DAY_S, "2 months"),
        (729 * DAY_S, "24 months"),
        (730 * DAY_S, "2 years"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert human_span(seconds) == text


def test_modified() -> None:
    assert modified(NOW - timedelta(hours=24), NOW) == "24 hours ago"
    assert modified(NOW + timedelta(seconds=61), NOW) == "About a minute from now"
    assert modified(datetime(1, 1, 1, tzinfo=UTC), NOW) == "Never"


def test_until() -> None:
    assert until(NOW + timedelta(minutes=4, seconds=59), NOW) == "4 minutes from now"
    assert until(NOW - timedelta(milliseconds=1), NOW) == "Stopping..."
    assert until(datetime(2318, 12, 1, tzinfo=UTC), NOW) == "Forever"
    assert until(NOW + timedelta(days=19 * 365), NOW) == "19 years from now"


@pytest.mark.parametrize(
    ("size_bytes", "vram_bytes", "text"),
    [
        (100, 0, "100% CPU"),
        (0, 0, "100% CPU"),
        (100, 100, "100% GPU"),
        (100, 101, "Unknown"),
        (0, 1, "Unknown"),
        (1000, 630, "37%/63% CPU/GPU"),
        (1000, 995, "1%/99% CPU/GPU"),
    ],
)
def test_processor(size_bytes: int, vram_bytes: int, text: str) -> None:
    assert processor(size_bytes, vram_bytes) == text
