"""Pushing to a scripted registry: as Ollama's takes blobs, as plain ones do, and when something breaks."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.registry.scripted import REPOSITORY, Exchange, ScriptedRegistry, digest, layer, manifest
from tests.registry.transferring import LIMITS, transfer

from swell.errors import (
    MissingLayersError,
    ModelNotFoundError,
    RegistryAnswerError,
    RegistryStatusError,
    RegistryUnreachableError,
    StoreError,
)
from swell.registry.messages import Direction
from swell.registry.parts import part_bytes
from swell.store.manifests import CONFIG_TYPE, MANIFEST_TYPE
from swell.store.names import parse_name
from swell.store.progress import Progress
from swell.store.store import Store

pytestmark = pytest.mark.slow

WEIGHTS = random.Random(4).randbytes(3_000_000)
CONFIG = b"{}"
PART = part_bytes(len(WEIGHTS), LIMITS)


class Uploads:
    """Takes blobs and manifests as registries do. `elsewhere` has parts sent to another place, as Ollama's does."""

    def __init__(self, registry: ScriptedRegistry, *, elsewhere: str = "") -> None:
        self.sessions: list[bytearray] = []
        self.finished: list[dict[str, list[str]]] = []
        self.before: Callable[[Exchange], bool] = lambda _: False
        self._registry = registry
        self._elsewhere = elsewhere
        registry.script = self.answer

    def answer(self, exchange: Exchange) -> bool:
        if self.before(exchange):
            return True
        path, query = urlsplit(exchange.target).path, parse_qs(urlsplit(exchange.target).query)
        kind, _, rest = path.removeprefix(f"/v2/{REPOSITORY}/").partition("/")
        match exchange.command, kind:
            case "POST", _:
                self.sessions.append(bytearray())
                self._reply(exchange, 202, len(self.sessions) - 1)
            case "PATCH", _:
                self._take(exchange, int(rest.removeprefix("uploads/")))
            case "PUT", "blobs":
                exchange.body()
                content = bytes(self.sessions[int(rest.removeprefix("uploads/"))])
                self.finished.append(query)
                self._registry.blobs[query["digest"][0]] = content
                exchange.reply(201)
            case "PUT", "manifests":
                assert exchange.headers["Content-Type"] == MANIFEST_TYPE
                self._registry.manifests[rest] = exchange.body()
                exchange.reply(201)
            case "GET", _ if rest.startswith("uploads/"):
                number = int(rest.removeprefix("uploads/"))
                self._reply(exchange, 204, number, Range=f"0-{len(self.sessions[number]) - 1}")
            case _:
                return False
        return True

    def _take(self, exchange: Exchange, number: int) -> None:
        start, _, end = exchange.headers["Content-Range"].partition("-")
        body = exchange.body()
        assert len(body) == int(end) + 1 - int(start)
        assert int(start) == len(self.sessions[number]), "parts come in order"
        self.sessions[number] += body
        if self._elsewhere:
            here = f"/v2/{REPOSITORY}/blobs/uploads/{number}"
            exchange.reply(307, Location=f"http://{self._elsewhere}/part", Docker_Upload_Location=here)
        else:
            self._reply(exchange, 202, number)

    def _reply(self, exchange: Exchange, status: int, number: int, **headers: str) -> None:
        exchange.reply(status, Location=f"/v2/{REPOSITORY}/blobs/uploads/{number}", **headers)


@pytest.fixture
def stored(registry: ScriptedRegistry, folder: Path) -> bytes:
    """A model in the store, by the name that the registry is pushed to; its manifest."""
    store = Store(folder)
    for content in (WEIGHTS, CONFIG):
        store.blobs.folder.mkdir(parents=True, exist_ok=True)
        store.blobs.write(content)
    made = manifest(layer(WEIGHTS), config=layer(CONFIG, CONFIG_TYPE))
    store.commit(parse_name(f"{registry.host}/{REPOSITORY}"), made)
    return made


def push(registry: ScriptedRegistry, folder: Path) -> list[Progress]:
    return transfer(folder, f"{registry.host}/{REPOSITORY}", Direction.PUSH)


def test_a_push_says_what_ollama_says(registry: ScriptedRegistry, folder: Path, stored: bytes) -> None:
    uploads = Uploads(registry)
    lines = push(registry, folder)
    assert list({line.digest or line.status: line for line in lines}.values()) == [
        Progress("retrieving manifest"),
        *(Progress(f"pushing {digest(one)[7:19]}", digest(one), len(one), len(one)) for one in (WEIGHTS, CONFIG)),
        Progress("pushing manifest"),
        Progress("success"),
    ]
    assert registry.manifests["latest"] == stored
    assert registry.blobs == {digest(content): content for content in (WEIGHTS, CONFIG)}
    sent = [asked.headers["Content-Range"] for asked in registry.asked if asked.method == "PATCH"]
    assert sent[0] == f"0-{PART - 1}"
    assert len(sent) == 16 + 1
    assert all("etag" not in query for query in uploads.finished)


def test_what_the_registry_has_is_not_sent(registry: ScriptedRegistry, folder: Path, stored: bytes) -> None:
    Uploads(registry)
    push(registry, folder)
    registry.asked.clear()
    push(registry, folder)
    assert [asked.method for asked in registry.asked] == ["HEAD", "HEAD", "PUT"]


def test_parts_may_go_elsewhere(registry: ScriptedRegistry, folder: Path, stored: bytes) -> None:
    """As with Ollama's registry, which gets checksums at the end."""
    parts: list[bytes] = []
    with ScriptedRegistry().serving() as elsewhere:

        def take(exchange: Exchange) -> bool:
            assert exchange.command == "PUT"
            assert "Content-Range" not in exchange.headers
            parts.append(exchange.body())
            return exchange.reply(200)

        elsewhere.script = take
        uploads = Uploads(registry, elsewhere=elsewhere.host)
        push(registry, folder)
    assert b"".join(parts) == WEIGHTS + CONFIG
    sums = hashlib.md5(b"".join(hashlib.md5(part).digest() for part in parts[:-1])).hexdigest()
    assert uploads.finished[0] == {"digest": [digest(WEIGHTS)], "etag": [f"{sums}-16"]}


def test_a_part_that_breaks_off_is_gone_on_with(registry: ScriptedRegistry, folder: Path, stored: bytes) -> None:
    """The registry is asked how much it has; here half of the third part."""
    uploads = Uploads(registry)
    broken = iter([True])

    def break_off(exchange: Exchange) -> bool:
        if exchange.headers.get("Content-Range", "").startswith(f"{2 * PART}-") and next(broken, False):
            uploads.sessions[-1] += exchange.body()[: PART // 2]
            exchange.close_connection = True
            return True
        return False

    uploads.before = break_off
    push(registry, folder)
    assert registry.blobs[digest(WEIGHTS)] == WEIGHTS
    assert len(uploads.sessions) == 2  # one for each blob


def test_a_lost_upload_is_begun_anew(registry: ScriptedRegistry, folder: Path, stored: bytes) -> None:
    uploads = Uploads(registry)
    lost = iter([True])

    def lose(exchange: Exchange) -> bool:
        if exchange.headers.get("Content-Range", "").startswith(f"{2 * PART}-") and next(lost, False):
            exchange.reply(500, b"lost")
            exchange.close_connection = True
            return True
        if exchange.command == "GET":
            return exchange.reply(404)
        return False

    uploads.before = lose
    push(registry, folder)
    assert registry.blobs[digest(WEIGHTS)] == WEIGHTS
    assert len(uploads.sessions) == 3


@pytest.mark.parametrize(("status", "tries"), [(500, LIMITS.tries), (400, 1)])
def test_an_upload_that_never_works_has_an_end(
    registry: ScriptedRegistry, folder: Path, stored: bytes, status: int, tries: int
) -> None:
    uploads = Uploads(registry)

    def refuse(exchange: Exchange) -> bool:
        if exchange.command == "PATCH":
            exchange.body()
            return exchange.reply(status, b"no")
        return False

    uploads.before = refuse
    with pytest.raises(RegistryStatusError, match=f"^{status}: no$"):
        push(registry, folder)
    assert len([asked for asked in registry.asked if asked.method == "PATCH"]) == tries


def test_a_registry_that_takes_a_part_and_loses_all_has_an_end(
    registry: ScriptedRegistry, folder: Path, stored: bytes
) -> None:
    uploads = Uploads(registry)

    def lose(exchange: Exchange) -> bool:
        if exchange.headers.get("Content-Range", "").startswith(f"{8 * PART}-"):
            exchange.close_connection = True
            return True
        if exchange.command == "GET":
            return exchange.reply(404)
        return False

    uploads.before = lose
    with pytest.raises(RegistryUnreachableError):
        push(registry, folder)


@pytest.mark.parametrize("place", ["", "ftp://127.0.0.1/"])
def test_places_for_uploads_that_are_none(registry: ScriptedRegistry, folder: Path, stored: bytes, place: str) -> None:
    Uploads(registry).before = lambda exchange: exchange.command == "POST" and exchange.reply(202, Location=place)
    with pytest.raises(RegistryAnswerError, match=r"Location|without encryption"):
        push(registry, folder)


def test_a_layer_of_a_known_model_is_mounted(registry: ScriptedRegistry, folder: Path) -> None:
    store = Store(folder)
    store.blobs.folder.mkdir(parents=True)
    store.blobs.write(WEIGHTS)
    name = parse_name(f"{registry.host}/{REPOSITORY}")
    store.commit(name, manifest({**layer(WEIGHTS), "from": f"{registry.host}/library/parent:7b"}))

    def mount(exchange: Exchange) -> bool:
        query = parse_qs(urlsplit(exchange.target).query)
        if query.get("mount") == [digest(WEIGHTS)] and query["from"] == ["library/parent"]:
            return exchange.reply(201)
        return False

    Uploads(registry).before = mount
    push(registry, folder)
    assert {asked.method for asked in registry.asked} == {"HEAD", "POST", "PUT"}


def test_what_isnt_there_cant_be_pushed(registry: ScriptedRegistry, folder: Path, stored: bytes) -> None:
    Uploads(registry)
    with pytest.raises(ModelNotFoundError, match=r"model '.*/library/none:latest' not found"):
        transfer(folder, f"{registry.host}/library/none", Direction.PUSH)
    Store(folder).blobs.path(digest(CONFIG)).unlink()
    with pytest.raises(MissingLayersError, match=digest(CONFIG)):
        push(registry, folder)
    Store(folder).blobs.path(digest(CONFIG)).write_bytes(b"longer than it was")
    with pytest.raises(StoreError, match="it has 18 bytes, and 2 in the manifest"):
        push(registry, folder)
    assert registry.asked == []
