"""One blob on its way into the store: parts that come side by side, and a hash that follows them through the file."""

import hashlib
import os
import re
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any

import httpx

from swell.errors import (
    DownloadMismatchError,
    RegistryAnswerError,
    RegistryError,
    RegistryUnreachableError,
    StoreError,
)
from swell.registry.client import RegistryClient
from swell.registry.messages import TransferLimits
from swell.registry.partial import PartialBlob, delete_part_files, locked
from swell.registry.parts import BlobPart, completed_bytes, leading_bytes
from swell.registry.reporter import Reporter
from swell.registry.retries import Retries
from swell.store.blobs import Blobs
from swell.store.digests import digest_of
from swell.store.manifests import Layer
from swell.store.progress import Progress

_REPORT_S = 0.06
_HASH_BYTES = 1 << 20
_HASH_POLL_S = 0.01
_STALL_BYTES = 16 << 10
"""A connection that brings less than this in the time for stalls has stalled."""
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class _RangesIgnoredError(Exception):
    """The registry sends the whole blob, whatever part of it is asked for."""


class BlobDownload:
    """The download of one layer."""

    def __init__(
        self, client: RegistryClient, blobs: Blobs, layer: Layer, limits: TransferLimits, reporter: Reporter
    ) -> None:
        """`layer` has a digest in canonical form."""
        self._client = client
        self._blobs = blobs
        self._layer = layer
        self._limits = limits
        self._reporter = reporter
        self._stopped = threading.Event()
        self._hashed_bytes = 0

    def run(self) -> None:
        """Return when the blob is in the store. What came before an error stays, for the next try to go on with.

        Raises RegistryError, DownloadMismatchError (then nothing stays), and OSError.
        """
        path = self._blobs.partial(self._layer.digest)
        with locked(path, self._is_there, self._wait) as descriptor:
            if descriptor is not None:
                partial = PartialBlob(path, descriptor, self._layer.size, self._limits)
                found = self._fill(partial)
                if found != self._layer.digest:
                    partial.delete()
                    raise DownloadMismatchError(self._layer.digest, found)
                self._blobs.adopt(path, found)
        delete_part_files(path)
        self._report(self._layer.size)

    def _is_there(self) -> bool:
        return self._blobs.find(self._layer.digest) is not None

    def _wait(self, completed: int) -> None:
        """Another process downloads the blob, which has its own watchdog."""
        self._report(completed)
        self._reporter.keep_alive()
        time.sleep(_REPORT_S)

    def _report(self, completed: int) -> None:
        digest, total = self._layer.digest, self._layer.size
        self._reporter.report(Progress(f"pulling {digest[7:19]}", digest, total, completed))

    def _fill(self, partial: PartialBlob) -> str:
        """Download what is missing; the digest of all."""
        for _ in range(self._limits.tries):
            try:
                return self._fetch(partial)
            except _RangesIgnoredError:
                partial.begin([BlobPart(0, 0, self._layer.size)])
        raise RegistryUnreachableError(
            self._client.host, "it broke off again and again, and can only send the whole blob"
        )

    def _fetch(self, partial: PartialBlob) -> str:
        self._stopped.clear()
        self._hashed_bytes = 0
        missing = [part for part in partial.parts if not part.is_complete]
        with ThreadPoolExecutor(2 + self._limits.streams) as pool:
            recording = pool.submit(self._record, partial)
            hashing = pool.submit(self._hash, partial)
            coming = [pool.submit(self._fetch_part, partial, part) for part in missing]
            try:
                self._follow(partial, recording, {hashing, *coming})
            finally:
                self._stopped.set()
                for future in coming:
                    future.cancel()
        return hashing.result()

    def _follow(self, partial: PartialBlob, recording: Future[None], unfinished: set[Future[Any]]) -> None:
        """Report how far the threads are until all have ended but the recording one. Raises the first error of any."""
        hashed = 0
        while unfinished:
            finished, unfinished = wait(unfinished, _REPORT_S, FIRST_EXCEPTION)
            self._report(max(0, min(completed_bytes(partial.parts), self._layer.size - 1)))  # the last line comes later
            if self._hashed_bytes != hashed:
                hashed = self._hashed_bytes
                self._reporter.keep_alive()
            for future in (*finished, *([recording] if recording.done() else [])):
                future.result()

    def _record(self, partial: PartialBlob) -> None:
        """Write down again and again how much has come, and once more at the end."""
        while not self._stopped.wait(self._limits.record_s):
            partial.record()
        partial.record()

    def _hash(self, partial: PartialBlob) -> str:
        """The digest of the file, read as far as it has come."""
        sha256, buffer = hashlib.sha256(), memoryview(bytearray(_HASH_BYTES))
        while self._hashed_bytes < self._layer.size and not self._stopped.is_set():
            ready = leading_bytes(partial.parts) - self._hashed_bytes
            if not ready:
                self._stopped.wait(_HASH_POLL_S)
                continue
            count = os.preadv(partial.descriptor, [buffer[:ready]], self._hashed_bytes)
            if not count:
                raise StoreError(str(partial.path), "another program has cut it")
            sha256.update(buffer[:count])
            self._hashed_bytes += count
        return digest_of(sha256.hexdigest())

    # --- parts -------------------------------------------------------------------------------------------------

    def _fetch_part(self, partial: PartialBlob, part: BlobPart) -> None:
        retries = Retries(self._limits, self._stopped)
        while not part.is_complete and not self._stopped.is_set():
            before = part.completed
            try:
                self._stream(partial, part)
            except RegistryError as error:
                retries.after(error, part.completed - before)

    def _stream(self, partial: PartialBlob, part: BlobPart) -> None:
        """Write to the file what one answer brings of a part."""
        start, end = part.offset + part.completed, part.offset + part.size
        is_whole = start == 0 and end == self._layer.size
        headers = {} if is_whole else {"Range": f"bytes={start}-{end - 1}"}
        with self._client.call("GET", f"blobs/{self._layer.digest}", headers=headers) as response:
            self._check_answer(response, start, is_whole=is_whole)
            since_s, since_bytes = time.monotonic(), part.completed
            for piece in response.iter_raw():
                _write(partial.descriptor, memoryview(piece)[: part.size - part.completed], start)
                start += len(piece)
                part.completed = min(part.completed + len(piece), part.size)
                if part.is_complete or self._stopped.is_set():
                    return
                if time.monotonic() - since_s > self._limits.stall_s:
                    if part.completed - since_bytes < _STALL_BYTES:
                        raise RegistryUnreachableError(response.url.host, "it sends next to nothing")
                    since_s, since_bytes = time.monotonic(), part.completed
            raise RegistryUnreachableError(response.url.host, "its answer ended too early")

    def _check_answer(self, response: httpx.Response, start: int, *, is_whole: bool) -> None:
        """Raise _RangesIgnoredError, or RegistryAnswerError if the answer isn't what was asked for."""
        if response.status_code == 206:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != start or found[3] not in ("*", str(self._layer.size)):
                raise RegistryAnswerError(response.url.host, "it sends another part of the blob than was asked for")
        elif response.status_code != 200:
            raise RegistryAnswerError(response.url.host, f"status {response.status_code} for a blob")
        elif not is_whole:
            raise _RangesIgnoredError
        elif response.headers.get("Content-Length", str(self._layer.size)) != str(self._layer.size):
            raise RegistryAnswerError(response.url.host, "the blob hasn't the size that the manifest gives")


def _write(descriptor: int, piece: memoryview, position: int) -> None:
    while piece:
        count = os.pwrite(descriptor, piece, position)
        piece, position = piece[count:], position + count
