"""Registries that lie, stall or never end: each pull has an end, a clear one, and nothing of it is believed."""

import hashlib
import json
import random
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec
import pytest
from tests.registry.scripted import REPOSITORY, Exchange, ScriptedRegistry, digest, layer, manifest
from tests.registry.transferring import LIMITS, check_store, partials, transfer

from swell.errors import (
    DiskFullError,
    DownloadMismatchError,
    RegistryAnswerError,
    RegistryError,
    RegistryUnreachableError,
    StoreError,
    SwellError,
)
from swell.registry.messages import TransferLimits
from swell.store.digests import digest_of

pytestmark = pytest.mark.slow

WEIGHTS = random.Random(2).randbytes(300_000)
CONFIG = b"{}"
MIB = b"x" * (1 << 20)


@pytest.fixture
def pulled(registry: ScriptedRegistry, folder: Path) -> Iterator["Pulled"]:
    """Pulls, and expects an error with such a text. Afterwards no manifest may be there, and no blob that is wrong."""
    registry.add([WEIGHTS, CONFIG])

    def pull(error: type[SwellError], text: str, limits: TransferLimits = LIMITS) -> None:
        with pytest.raises(error, match=text):
            transfer(folder, f"{registry.host}/{REPOSITORY}", limits=limits)

    yield pull
    assert not list(folder.glob("manifests/*"))
    check_store(folder)


class Pulled(Protocol):
    """Pulls, and expects an error."""

    def __call__(self, error: type[SwellError], text: str, limits: TransferLimits = LIMITS) -> None: ...


def answer_blobs(registry: ScriptedRegistry, answer: Callable[[Exchange], object]) -> None:
    """Have requests for the weights answered in this way."""

    def script(exchange: Exchange) -> bool:
        if digest(WEIGHTS) in exchange.target:
            answer(exchange)
            return True
        return False

    registry.script = script


def answer_manifests(registry: ScriptedRegistry, answer: Callable[[Exchange], object]) -> None:
    def script(exchange: Exchange) -> bool:
        answer(exchange)
        return True

    registry.script = script


def without_end(exchange: Exchange, *, by: bytes = MIB, **headers: str) -> None:
    """An answer of no length that ends when the client leaves."""
    exchange.reply(206 if "Content_Range" in headers else 200, Content_Length="", Connection="close", **headers)
    exchange.close_connection = True
    while True:
        exchange.wfile.write(by)


def content_range(exchange: Exchange) -> str:
    """What a true answer would have."""
    return f"bytes {exchange.headers['Range'].removeprefix('bytes=')}/{len(WEIGHTS)}"


def test_other_contents(registry: ScriptedRegistry, pulled: Pulled, folder: Path) -> None:
    other = WEIGHTS[:-1] + b"?"
    registry.blobs[digest(WEIGHTS)] = other
    pulled(
        DownloadMismatchError,
        f"^digest mismatch, file must be downloaded again: want {digest(WEIGHTS)}, got {digest(other)}$",
    )
    assert partials(folder) == []
    assert [path.name for path in folder.glob("blobs/*")] == []


def test_a_body_without_end(registry: ScriptedRegistry, pulled: Pulled) -> None:
    answer_blobs(registry, lambda exchange: without_end(exchange, Content_Range=content_range(exchange)))
    pulled(DownloadMismatchError, "digest mismatch")


def test_a_manifest_without_end(registry: ScriptedRegistry, pulled: Pulled) -> None:
    answer_manifests(registry, without_end)
    pulled(RegistryAnswerError, "more than 1048576 bytes")


def test_a_wrong_content_length(registry: ScriptedRegistry, folder: Path) -> None:
    registry.add([CONFIG])
    registry.script = lambda exchange: "/blobs/" in exchange.target and exchange.reply(200, b"far too much" * 1000)
    with pytest.raises(RegistryAnswerError, match="hasn't the size that the manifest gives"):
        transfer(folder, f"{registry.host}/{REPOSITORY}")


def test_an_answer_that_ends_too_early(registry: ScriptedRegistry, pulled: Pulled) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.reply(206, WEIGHTS[:9], Content_Range=content_range(exchange))

    answer_blobs(registry, answer)
    pulled(RegistryUnreachableError, "its answer ended too early")


@pytest.mark.parametrize(
    "said", ["bytes 1-2/300000", "bytes 0-65535/7", "bytes */300000", "0-65535", "", "bytes 0-1/³"]
)
def test_a_lying_content_range(registry: ScriptedRegistry, pulled: Pulled, said: str) -> None:
    answer_blobs(registry, lambda exchange: exchange.reply(206, WEIGHTS[:65536], Content_Range=said))
    pulled(RegistryAnswerError, "another part of the blob than was asked for")


def test_a_body_that_trickles(registry: ScriptedRegistry, pulled: Pulled) -> None:
    """Each byte comes in time, and all together would never."""

    def answer(exchange: Exchange) -> None:
        exchange.reply(206, Content_Range=content_range(exchange), Content_Length="65536")
        while True:
            exchange.wfile.write(b"x")
            threading.Event().wait(0.02)

    answer_blobs(registry, answer)
    pulled(RegistryUnreachableError, "next to nothing")


def test_headers_that_trickle(registry: ScriptedRegistry, pulled: Pulled) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            exchange.wfile.write(b"x")
            threading.Event().wait(0.02)

    answer_manifests(registry, answer)
    impatient = msgspec.structs.replace(LIMITS, patience_s=2.0)
    pulled(RegistryUnreachableError, "nothing got on for 2 s", impatient)


def test_silence(registry: ScriptedRegistry, pulled: Pulled) -> None:
    answer_manifests(registry, lambda exchange: exchange.rfile.read(1))
    pulled(RegistryUnreachableError, "nothing came for too long")


def test_redirects_in_circles(registry: ScriptedRegistry, pulled: Pulled) -> None:
    answer_blobs(registry, lambda exchange: exchange.reply(307, Location=exchange.target))
    pulled(RegistryAnswerError, "redirects again and again")


@pytest.mark.parametrize(
    "place", ["", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "http://[::1", "http://\x7f/"]
)
def test_redirects_to_nowhere(registry: ScriptedRegistry, pulled: Pulled, place: str) -> None:
    answer_blobs(registry, lambda exchange: exchange.reply(307, Location=place))
    pulled(RegistryError, "Location|location|without encryption|again and again")


def test_compressed_bodies_are_not_decoded(registry: ScriptedRegistry, pulled: Pulled) -> None:
    bomb = zlib.compress(bytes(10_000_000))
    answer_manifests(registry, lambda exchange: exchange.reply(200, bomb, Content_Encoding="deflate"))
    pulled(RegistryAnswerError, "compressed, though that wasn't asked for")
    registry.script = None
    answer_blobs(registry, lambda exchange: exchange.reply(200, bomb, Content_Encoding="gzip"))
    pulled(RegistryAnswerError, "compressed, though that wasn't asked for")


@pytest.mark.parametrize(
    "which",
    [
        "sha256:../../../../tmp/x",
        "sha512:" + "a" * 128,
        "sha256:" + "g" * 64,
        "",
        "../x",
        "sha256:" + "a" * 64 + "/../x",
    ],
)
def test_digests_that_are_none(registry: ScriptedRegistry, pulled: Pulled, which: str) -> None:
    registry.manifests["latest"] = manifest({**layer(b"x"), "digest": which})
    pulled(StoreError, "its manifest names a layer by something that is no digest")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", b'{"layers":[{}]}', b"[" * 100_000, manifest(layer(b"x", size=-1)),
     manifest(layer(b"x", size=1.5))],
)  # fmt: skip
def test_manifests_that_are_none(registry: ScriptedRegistry, pulled: Pulled, content: bytes) -> None:
    registry.manifests["latest"] = content
    pulled(StoreError, "its manifest is damaged")


def test_manifests_with_absurd_layers(registry: ScriptedRegistry, pulled: Pulled) -> None:
    registry.manifests["latest"] = manifest(layer(b"x"), layer(b"x", size=2))
    pulled(RegistryAnswerError, "gives a layer two sizes")
    registry.manifests["latest"] = manifest(*(layer(bytes([n % 256, n // 256])) for n in range(1001)))
    pulled(RegistryAnswerError, "more than 1000 layers")
    for size in (2**62, 2**70):
        registry.manifests["latest"] = manifest(layer(b"x", size=size))
        pulled(DiskFullError, f"{size} bytes are needed")


def test_the_answer_of_another_program(folder: Path) -> None:
    """What listens there doesn't speak HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RegistryUnreachableError):
            transfer(folder, f"127.0.0.1:{listening.getsockname()[1]}/a/b")
        thread.join()


def test_a_partial_download_that_was_tampered_with(registry: ScriptedRegistry, pulled: Pulled, folder: Path) -> None:
    """What is claimed to be there is hashed, too."""
    partial = folder / "blobs" / f"{digest(WEIGHTS).replace(':', '-')}-partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(bytes(len(WEIGHTS)))
    claim = {"N": 0, "Offset": 0, "Size": len(WEIGHTS), "Completed": len(WEIGHTS)}
    partial.with_name(f"{partial.name}-0").write_text(json.dumps(claim))
    zeros = digest_of(hashlib.sha256(bytes(len(WEIGHTS))).hexdigest())
    pulled(DownloadMismatchError, zeros)
    assert partials(folder) == []
