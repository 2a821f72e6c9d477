"""Headers of model files. Every request asks for one, so they are read once and kept."""

import os
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from swell.errors import DamagedModelError
from swell.models.gguf import GgufHeader, read_header

KEPT_MAX_BYTES = 64 << 20
"""Of all headers together; that of a large model takes half a megabyte."""
_AT_A_TIME = 2  # each may take some 100 MB while it is read
_ENTRY_BYTES = 400
"""Of a tensor or a value, beside its texts."""


class _CachedHeader(NamedTuple):
    """What was read from a file that had this time of change and this size."""

    modified_ns: int
    size_bytes: int
    found: GgufHeader | DamagedModelError
    kept_bytes: int


class Headers:
    """Keeps the headers asked for last, and which files are damaged. Safe to use from any thread."""

    def __init__(self) -> None:
        self._kept = OrderedDict[str, _CachedHeader]()
        self._kept_bytes = 0
        self._lock = threading.Lock()
        self._reading = threading.Semaphore(_AT_A_TIME)

    def read(self, path: Path, status: os.stat_result) -> GgufHeader:
        """The header of the file at `path`, which has this `status`. Raises as `read_header` does."""
        key = os.path.abspath(path)
        found = self._find(key, status)
        if found is None:
            with self._reading:
                found = self._find(key, status) or self._read(path, key, status)
        if isinstance(found, DamagedModelError):
            raise DamagedModelError(str(path), found.reason)
        return found

    def _find(self, key: str, status: os.stat_result) -> GgufHeader | DamagedModelError | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or (kept.modified_ns, kept.size_bytes) != (status.st_mtime_ns, status.st_size):
                return None
            self._kept.move_to_end(key)
            return kept.found

    def _read(self, path: Path, key: str, status: os.stat_result) -> GgufHeader | DamagedModelError:
        found: GgufHeader | DamagedModelError
        try:
            found = read_header(path)
        except DamagedModelError as error:
            found = DamagedModelError(error.path, error.reason)  # without the frames that had the file's bytes
        kept = _CachedHeader(status.st_mtime_ns, status.st_size, found, _kept_bytes(found))
        with self._lock:
            if stale := self._kept.pop(key, None):
                self._kept_bytes -= stale.kept_bytes
            self._kept[key] = kept
            self._kept_bytes += kept.kept_bytes
            while self._kept_bytes > KEPT_MAX_BYTES:
                self._kept_bytes -= self._kept.popitem(last=False)[1].kept_bytes
        return found


def _kept_bytes(found: GgufHeader | DamagedModelError) -> int:
    if isinstance(found, DamagedModelError):
        return _ENTRY_BYTES
    texts = [text for entry in found.metadata.items() for text in entry if isinstance(text, str)]
    names = [tensor.name for tensor in found.tensors]
    return sum(map(sys.getsizeof, texts + names)) + _ENTRY_BYTES * (len(found.metadata) + len(names) + 1)
