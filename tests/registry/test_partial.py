"""The files of unfinished downloads."""

import fcntl
import os
from pathlib import Path

import pytest

from swell.registry.messages import TransferLimits
from swell.registry.partial import PartialBlob, discard, locked, read_parts
from swell.registry.parts import BlobPart

LIMITS = TransferLimits(part_min_bytes=10, parts=4)
SIZE = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"sha256-{'a' * 64}-partial"


def never() -> bool:
    return False


def no_waiting(completed: int) -> None:
    raise AssertionError("nobody else is there")


def test_what_is_recorded_is_found_again(path: Path) -> None:
    with locked(path, never, no_waiting) as descriptor:
        assert descriptor is not None
        partial = PartialBlob(path, descriptor, SIZE, LIMITS)
        partial.parts[2].completed = 7
        partial.record()
        partial.parts[2].completed = 9  # isn't recorded
    assert path.stat().st_size == SIZE
    assert [part.completed for part in read_parts(path)] == [0, 0, 7, 0]
    with locked(path, never, no_waiting) as descriptor:
        assert descriptor is not None
        again = PartialBlob(path, descriptor, SIZE, LIMITS)
        assert [part.completed for part in again.parts] == [0, 0, 7, 0]
        assert PartialBlob(path, descriptor, SIZE + 1, LIMITS).parts == [
            BlobPart(number, 11 * number, 11) for number in range(3)
        ] + [BlobPart(3, 33, 8)]


def test_data_are_on_the_disk_before_they_are_claimed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with locked(path, never, no_waiting) as descriptor:
        assert descriptor is not None
        partial = PartialBlob(path, descriptor, SIZE, LIMITS)
        partial.parts[0].completed = 5

        def arrive(_: int) -> None:
            """What comes while data are written to the disk may not be among them."""
            partial.parts[0].completed = 8
            assert read_parts(path)[0].completed == 0

        monkeypatch.setattr(os, "fdatasync", arrive)
        partial.record()
    assert read_parts(path)[0].completed == 5


def test_who_waits_sees_how_far_the_other_is(path: Path) -> None:
    with locked(path, never, no_waiting) as descriptor:
        assert descriptor is not None
        partial = PartialBlob(path, descriptor, SIZE, LIMITS)
        partial.parts[0].completed = 6
        partial.record()
        seen: list[int] = []

        def other_finishes(completed: int) -> None:
            seen.append(completed)
            os.rename(path, path.with_name("finished"))

        with locked(path, lambda: bool(seen), other_finishes) as second:
            assert second is None
    assert seen == [6]
    assert not path.exists()


def test_a_download_that_was_deleted_meanwhile_is_begun_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the file and locking it."""
    flock, deleted = fcntl.flock, iter([True])

    def lock(descriptor: int, operation: int) -> None:
        if next(deleted, False):
            path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)
    with locked(path, never, no_waiting) as descriptor:
        assert descriptor is not None
        assert os.path.samestat(os.fstat(descriptor), path.stat())


def test_only_what_nobody_downloads_is_discarded(path: Path) -> None:
    discard(path)  # nothing is there
    with locked(path, never, no_waiting) as descriptor:
        assert descriptor is not None
        PartialBlob(path, descriptor, SIZE, LIMITS)
        discard(path)
        assert path.exists()
    discard(path)
    assert list(path.parent.iterdir()) == []
