"""The blobs of a store: files that are named by the SHA-256 of their contents, and so never change."""

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from swell.errors import DigestMismatchError
from swell.store.digests import digest_of

_TEMPORARY = "swell-"
"""What the names of unfinished files begin with. A real Ollama deletes such files when it starts."""


class Blobs:
    """The folder of blobs. A name is given to a file only when all of it is on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the blob of a valid digest is, or would be."""
        return self.folder / digest.replace(":", "-")

    def find(self, digest: str) -> Path | None:
        """The file of a valid digest; None if it isn't there. Ollama once named them with a colon."""
        return next((path for path in (self.path(digest), self.folder / digest) if os.path.isfile(path)), None)

    def partial(self, digest: str) -> Path:
        """Where Ollama keeps a blob while it is downloaded."""
        return self.folder / f"{digest.replace(':', '-')}-partial"

    def temporary(self) -> "TemporaryFile":
        """A new file in this folder, for another program to write to. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return TemporaryFile(self.folder)

    def incoming(self) -> "IncomingBlob":
        """A new blob, to be written piece by piece. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return IncomingBlob(self)

    def write(self, content: bytes) -> str:
        """Store `content`; its digest. Raises OSError."""
        with self.incoming() as blob:
            blob.write(content)
            return blob.finish()

    def adopt(self, file: Path, digest: str) -> None:
        """Give a file of this folder, whose contents have this digest, its name. Raises OSError."""
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(file, self.path(digest))
        sync_folder(self.folder)

    def abandoned(self) -> list[Path]:
        """Unfinished files whose writers are gone: each writer holds a lock on its own."""
        return [path for path in self.folder.glob(f"{_TEMPORARY}*") if not _is_locked(path)]


class TemporaryFile:
    """A file that is deleted in the end, unless a blob has been made of it. Other Swell processes leave it alone."""

    def __init__(self, folder: Path) -> None:
        descriptor, path = tempfile.mkstemp(prefix=_TEMPORARY, dir=folder)
        self.path = Path(path)
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115 - closed by __exit__
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.fchmod(descriptor, 0o644)  # a store may be shared with the user that Ollama runs as

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self._file.close()


class IncomingBlob(TemporaryFile):
    """A blob that is hashed while it is written."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__(blobs.folder)
        self._blobs = blobs
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Append `piece`. Raises OSError."""
        self._hash.update(piece)
        left = memoryview(piece)
        while left:
            left = left[self._file.write(left) :]
        self.size_bytes += len(piece)

    def finish(self, expected: str | None = None) -> str:
        """Name it by its digest, which is returned. Raises OSError, and DigestMismatchError if another is expected."""
        digest = digest_of(self._hash.hexdigest())
        if expected is not None and digest != expected:
            raise DigestMismatchError(expected, digest)
        if self._blobs.find(digest) is None:
            self._blobs.adopt(self.path, digest)
        return digest


def hash_file(path: Path) -> str:
    """The digest of a file's contents. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return digest_of(hashlib.file_digest(file, "sha256").hexdigest())


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk before anything goes on. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True  # it has just been finished, or is another user's
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
