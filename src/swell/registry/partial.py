"""The files of an unfinished download: Ollama's own, so that either program goes on with what the other one began.

`sha256-<hex>-partial` is as long as the blob and has holes where nothing has come yet. `sha256-<hex>-partial-<n>` says
how much of part n is in it.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from swell.registry.messages import TransferLimits
from swell.registry.parts import BlobPart, are_parts_of, completed_bytes, plan_parts

_PART_FILE_MAX_BYTES = 4096
_CLAIM_BYTES = 128
"""A part's file is always so long, filled up with blanks: so one write replaces it whole, even where power fails."""

_decoder = msgspec.json.Decoder(BlobPart)


class PartialBlob:
    """An unfinished download that is this process's alone while it is open."""

    def __init__(self, path: Path, descriptor: int, size: int, limits: TransferLimits) -> None:
        """Take over what is there of a blob of that size, or begin anew. Raises OSError."""
        self.path = path
        self.descriptor = descriptor
        self._size = size
        self._recorded = dict[int, int]()  # what the files say, by the numbers of the parts
        found = read_parts(path)
        if are_parts_of(size, found) and os.fstat(descriptor).st_size == size:
            self.parts = found
        else:
            self.begin(plan_parts(size, limits))

    def begin(self, parts: list[BlobPart]) -> None:
        """Forget what is there, and be cut into `parts` from now on. Raises OSError."""
        delete_part_files(self.path)
        os.ftruncate(self.descriptor, 0)
        os.ftruncate(self.descriptor, self._size)
        self.parts = parts
        self._recorded = {}
        self.record()

    def record(self) -> None:
        """Write down how much has come, so that it outlasts this process and the machine. Raises OSError.

        Data are on the disk before they are claimed.
        """
        parts = [msgspec.structs.replace(part) for part in self.parts]
        os.fdatasync(self.descriptor)
        for part in parts:
            if self._recorded.get(part.number) != part.completed:
                _write_claim(self.path.with_name(f"{self.path.name}-{part.number}"), part)
                self._recorded[part.number] = part.completed

    def delete(self) -> None:
        """Leave nothing. Raises OSError."""
        self.path.unlink(missing_ok=True)
        delete_part_files(self.path)


@contextlib.contextmanager
def locked(path: Path, is_finished: Callable[[], bool], wait: Callable[[int], None]) -> Iterator[int | None]:
    """The descriptor of the file at `path`, which is made if need be, while nobody else downloads to it.

    While somebody does, `wait` is called again and again with the number of bytes that have come. None if the download
    `is_finished` by then. Raises OSError.
    """
    while not is_finished():
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not _lock(descriptor):
                wait(completed_bytes(read_parts(path)))
            elif _is_at(path, descriptor):  # nobody has finished or deleted it meanwhile
                if is_finished():
                    path.unlink()
                    break
                yield descriptor
                return
        finally:
            os.close(descriptor)
    yield None


def discard(path: Path) -> None:
    """Delete the unfinished download at `path`, unless another process is at it. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if _lock(descriptor) and _is_at(path, descriptor):
                path.unlink()
                delete_part_files(path)
        finally:
            os.close(descriptor)


def read_parts(path: Path) -> list[BlobPart]:
    """The parts of the download at `path`, in order; those whose files can't be read are left out."""
    found = []
    for file in path.parent.glob(f"{path.name}-*"):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            found.append(_decoder.decode(file.read_bytes()[:_PART_FILE_MAX_BYTES]))
    return sorted(found, key=lambda part: part.number)


def delete_part_files(path: Path) -> None:
    """Delete what says how much has come to the download at `path`. Raises OSError."""
    for file in path.parent.glob(f"{path.name}-*"):
        file.unlink(missing_ok=True)


def _write_claim(path: Path, part: BlobPart) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(descriptor, msgspec.json.encode(part).ljust(_CLAIM_BYTES), 0)
        os.ftruncate(descriptor, _CLAIM_BYTES)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file still has that name."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
