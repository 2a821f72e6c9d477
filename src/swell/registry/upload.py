"""One blob on its way to a registry."""

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import httpx

from swell.errors import InvalidRequestError, NotInRegistryError, RegistryAnswerError, RegistryError
from swell.registry.client import RegistryClient
from swell.registry.messages import TransferLimits
from swell.registry.parts import part_bytes
from swell.registry.reporter import Reporter
from swell.registry.retries import Retries
from swell.store.manifests import Layer
from swell.store.names import parse_name
from swell.store.progress import Progress

_PIECE_BYTES = 1 << 20
_RECEIVED = re.compile(r"(?:bytes=)?0-(\d{1,18})")


class BlobUpload:
    """The upload of one layer, in parts, of which the registry may send each to another host."""

    def __init__(
        self, client: RegistryClient, file: Path, layer: Layer, limits: TransferLimits, reporter: Reporter
    ) -> None:
        """`layer` has a digest in canonical form, and its contents are in `file`."""
        self._client = client
        self._path = file
        self._layer = layer
        self._limits = limits
        self._reporter = reporter
        self._place: httpx.URL | None = None  # where the registry takes what comes next
        self._sent_bytes = 0  # of which the registry said that it has them
        self._checksums: list[bytes] = []  # of parts that went to another host

    def run(self) -> None:
        """Return when the registry has the blob. Raises RegistryError and OSError."""
        if not self._is_there():
            retries = Retries(self._limits, threading.Event())
            most = 0
            while True:
                try:
                    self._upload()
                    break
                except RegistryError as error:
                    retries.after(error, self._sent_bytes - most)
                    most = max(most, self._sent_bytes)
                    self._find_place()
        self._report(self._layer.size)

    def _is_there(self) -> bool:
        try:
            with self._client.call("HEAD", f"blobs/{self._layer.digest}"):
                return True
        except NotInRegistryError:
            return False

    def _upload(self) -> None:
        """Send what the registry hasn't got, from where it takes it."""
        if self._place is None and not self._begin():
            return
        with self._path.open("rb", buffering=0) as file:
            while self._sent_bytes < self._layer.size:
                self._send_part(
                    file, min(part_bytes(self._layer.size, self._limits), self._layer.size - self._sent_bytes)
                )
        assert self._place is not None
        wanted = {"digest": self._layer.digest}
        if self._checksums:
            wanted["etag"] = (
                f"{hashlib.md5(b''.join(self._checksums), usedforsecurity=False).hexdigest()}-{len(self._checksums)}"
            )
        with self._client.call(
            "PUT", self._place.copy_merge_params(wanted), headers={"Content-Length": "0"}
        ) as response:
            self._expect(response, 201)

    def _begin(self) -> bool:
        """Have the registry take the blob; False if it has it in another repository, from which it can be mounted."""
        self._sent_bytes, self._checksums = 0, []
        target = "blobs/uploads/"
        if repository := self._origin():
            target += f"?mount={self._layer.digest}&from={repository}"
        with self._client.call("POST", target, headers={"Content-Length": "0"}) as response:
            if response.status_code == 201:
                return False
            self._expect(response, 202)
            self._place = self._next_place(response)
        return True

    def _origin(self) -> str:
        """The repository of the same registry from which the layer came, if that is known."""
        try:
            name = parse_name(self._layer.origin)
        except InvalidRequestError:
            return ""
        return f"{name.namespace}/{name.model}" if name.host == self._client.host else ""

    def _send_part(self, file: BinaryIO, size: int) -> None:
        """Send the next `size` bytes: to the registry, or to where it sends us with them."""
        assert self._place is not None
        start, checksum = self._sent_bytes, hashlib.md5(usedforsecurity=False)
        length = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        headers = {**length, "Content-Range": f"{start}-{start + size - 1}", "X-Redirect-Uploads": "1"}
        with self._client.call(
            "PATCH", self._place, headers=headers, body=lambda: self._pieces(file, start, size)
        ) as response:
            if response.status_code != 307:
                self._expect(response, 202)
            self._place = self._next_place(response)
            elsewhere = self._client.location(response, "Location") if response.status_code == 307 else None
        if elsewhere is not None:
            for piece in _read(file, start, size):
                checksum.update(piece)
            with self._client.call(
                "PUT", elsewhere, headers=length, body=lambda: self._pieces(file, start, size)
            ) as response:
                self._expect(response, 200, 201, 202, 204)
            self._checksums.append(checksum.digest())
        self._sent_bytes = start + size

    def _pieces(self, file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
        """A part for one attempt, which is reported as it goes."""
        for piece in _read(file, start, size):
            yield piece
            start += len(piece)
            self._report(min(start, self._layer.size - 1))

    def _find_place(self) -> None:
        """After an error: ask how much has come, and go on from there, or else from the beginning."""
        place, self._place = self._place, None
        if place is None or self._checksums:
            return
        try:
            with self._client.call("GET", place) as response:
                found = _RECEIVED.fullmatch(response.headers.get("Range", ""))
                if found and int(found[1]) < self._layer.size:
                    self._place = self._next_place(response)
                    self._sent_bytes = int(found[1]) + 1
        except RegistryError:
            return

    def _next_place(self, response: httpx.Response) -> httpx.URL:
        own = "Docker-Upload-Location"
        return self._client.location(response, own if own in response.headers else "Location")

    def _expect(self, response: httpx.Response, *status: int) -> None:
        if response.status_code not in status:
            raise RegistryAnswerError(response.url.host, f"status {response.status_code} for an upload")

    def _report(self, completed: int) -> None:
        digest, total = self._layer.digest, self._layer.size
        self._reporter.report(Progress(f"pushing {digest[7:19]}", digest, total, max(0, completed)))


def _read(file: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    """`size` bytes of a file from `start` on. Raises OSError."""
    end = start + size
    while start < end:
        piece = os.pread(file.fileno(), min(_PIECE_BYTES, end - start), start)
        if not piece:
            raise OSError(0, "it is shorter than its manifest says", file.name)
        yield piece
        start += len(piece)
