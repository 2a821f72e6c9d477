"""Tokens: who is asked for one, what is shown to whom, and what no other host ever sees."""

import base64
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_public_key,
)
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.scripted import REPOSITORY, Exchange, ScriptedRegistry, digest
from tests.registry.transferring import LIMITS, check_store, transfer

from swell.errors import RegistryAnswerError, RegistryStatusError
from swell.registry.challenges import Challenge, parse_challenge
from swell.registry.client import RegistryClient
from swell.registry.messages import Direction, TransferJob
from swell.store.names import parse_name
from swell.store.progress import Progress

WEIGHTS = random.Random(3).randbytes(300_000)
CONFIG = b"{}"
SCOPE = f"repository:{REPOSITORY}:pull"


def bearer(realm: str) -> str:
    return f'Bearer realm="{realm}",service="registry",scope="{SCOPE}"'


def guarded(registry: ScriptedRegistry, challenge: str, give: Callable[[Exchange], str | None] = lambda _: "t") -> None:
    """Have the registry demand the token that it gave last, at `/token` if anybody asks there."""
    given: list[str] = []

    def script(exchange: Exchange) -> bool:
        if exchange.target.startswith("/token"):
            token = give(exchange)
            if token is None:
                return exchange.reply(403, b"no")
            given.append(token)
            return exchange.reply(200, json.dumps({"token": token}).encode())
        if given and exchange.headers.get("Authorization") == f"Bearer {given[-1]}":
            return False
        return exchange.reply(401, b"who are you?", WWW_Authenticate=challenge)

    registry.script = script
    registry.add([WEIGHTS, CONFIG])


def pull(registry: ScriptedRegistry, folder: Path) -> None:
    assert transfer(folder, f"{registry.host}/{REPOSITORY}")[-1] == Progress("success")
    check_store(folder)


def asked_tokens(registry: ScriptedRegistry) -> list[dict[str, str]]:
    return [asked.headers for asked in registry.asked if asked.path.startswith("/token")]


@pytest.mark.slow
def test_the_registry_itself_is_shown_a_signature(registry: ScriptedRegistry, folder: Path) -> None:
    guarded(registry, bearer(f"http://{registry.host}/token?account=me"))
    pull(registry, folder)
    (asked,) = (asked for asked in registry.asked if asked.path.startswith("/token"))
    query = parse_qs(urlsplit(asked.path).query)
    assert query["account"] == ["me"]
    assert query["service"] == ["registry"]
    assert query["scope"] == [SCOPE]
    assert len(base64.urlsafe_b64decode(query["nonce"][0] + "==")) == 16
    assert query["ts"][0].isdigit()
    public, _, signature = asked.headers["Authorization"].partition(":")
    key = load_ssh_public_key(b"ssh-ed25519 " + public.encode())
    assert isinstance(key, Ed25519PublicKey)
    empty = base64.b64encode(hashlib.sha256().hexdigest().encode()).decode()
    key.verify(base64.b64decode(signature), f"GET,http://{registry.host}{asked.path},{empty}".encode())

    file = folder.parent / "keys/id_ed25519"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.with_name("id_ed25519.pub").read_text() == f"ssh-ed25519 {public}\n"
    before = file.read_bytes()
    registry.add([b"other", CONFIG])
    pull(registry, folder)
    assert file.read_bytes() == before


@pytest.mark.slow
def test_another_host_gives_tokens_to_anybody_and_sees_nothing(registry: ScriptedRegistry, folder: Path) -> None:
    with ScriptedRegistry().serving() as tokens:
        guarded(tokens, "")
        guarded(registry, bearer(f"http://{tokens.host}/token"))
        demand = registry.script
        assert demand is not None
        registry.script = lambda exchange: exchange.headers.get("Authorization") != "Bearer t" and demand(exchange)
        pull(registry, folder)
        (asked,) = tokens.asked
        assert "Authorization" not in asked.headers
        assert set(parse_qs(urlsplit(asked.path).query)) == {"service", "scope"}
    assert not (folder.parent / "keys").exists()


@pytest.mark.slow
def test_blobs_elsewhere_are_asked_for_without_the_token(registry: ScriptedRegistry, folder: Path) -> None:
    with ScriptedRegistry().serving() as elsewhere:
        guarded(registry, bearer(f"http://{registry.host}/token"))
        elsewhere.blobs = registry.blobs
        checked = registry.script
        assert checked is not None

        def script(exchange: Exchange) -> bool:
            if not checked(exchange) and "/blobs/" in exchange.target:
                return exchange.reply(307, Location=f"http://{elsewhere.host}{exchange.target}")
            return "/blobs/" in exchange.target or exchange.headers.get("Authorization") != "Bearer t"

        registry.script = script
        pull(registry, folder)
        assert elsewhere.asked
        assert all("Authorization" not in asked.headers for asked in elsewhere.asked)


@pytest.mark.slow
def test_a_registry_that_wants_no_signature(registry: ScriptedRegistry, folder: Path) -> None:
    guarded(
        registry,
        bearer(f"http://{registry.host}/token"),
        lambda exchange: None if "Authorization" in exchange.headers else "t",
    )
    pull(registry, folder)
    assert ["Authorization" in headers for headers in asked_tokens(registry)] == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize("key", [b"no key", generate_private_key(65537, 2048).private_bytes(
    Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())])  # fmt: skip
def test_a_key_that_cant_be_used_is_left_alone(registry: ScriptedRegistry, folder: Path, key: bytes) -> None:
    file = folder.parent / "keys/id_ed25519"
    file.parent.mkdir()
    file.write_bytes(key)
    guarded(registry, bearer(f"http://{registry.host}/token"))
    pull(registry, folder)
    assert file.read_bytes() == key
    assert ["Authorization" in headers for headers in asked_tokens(registry)] == [False]


@pytest.mark.slow
def test_a_token_that_runs_out_is_replaced(registry: ScriptedRegistry, folder: Path) -> None:
    numbers = iter(range(100))
    guarded(registry, bearer(f"http://{registry.host}/token"), lambda _: f"t{next(numbers)}")
    inner = registry.script
    assert inner is not None

    def script(exchange: Exchange) -> bool:
        if digest(CONFIG) in exchange.target and exchange.headers.get("Authorization") == "Bearer t0":
            return exchange.reply(401, b"too old", WWW_Authenticate=bearer(f"http://{registry.host}/token"))
        return inner(exchange)

    registry.script = script
    pull(registry, folder)
    assert len(asked_tokens(registry)) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "challenge", ["", 'Basic realm="registry"', "Bearer", 'Bearer service="x"', "Bearer " + "a" * 9000]
)
def test_other_challenges_are_refusals(registry: ScriptedRegistry, folder: Path, challenge: str) -> None:
    guarded(registry, challenge)
    with pytest.raises(RegistryStatusError, match=r"^pull model manifest: 401: who are you\?$"):
        pull(registry, folder)


@pytest.mark.slow
@pytest.mark.parametrize("reply", [b"", b"{}", b"[]", b'{"token":""}', b'{"token":"a\\nb"}', b'{"token":"\xc3\xa9"}'])
def test_tokens_that_are_none(registry: ScriptedRegistry, folder: Path, reply: bytes) -> None:
    def script(exchange: Exchange) -> bool:
        if exchange.target.startswith("/token"):
            return exchange.reply(200, reply)
        return exchange.reply(401, WWW_Authenticate=bearer(f"http://{registry.host}/token"))

    registry.script = script
    with pytest.raises(RegistryAnswerError, match="gives no token"):
        pull(registry, folder)


@pytest.mark.parametrize(
    "realm", ["http://tokens.invalid/", "ftp://tokens.invalid/", "/token", "http://[", "https://me:pw@r.invalid/"]
)
def test_places_for_tokens_that_are_not_safe(tmp_path: Path, realm: str) -> None:
    """The registry is spoken to by HTTPS."""
    job = TransferJob(
        direction=Direction.PULL,
        name=parse_name("r.invalid/a/b"),
        scheme="https",
        folder=str(tmp_path),
        prunes=True,
        key_file=str(tmp_path / "key"),
        limits=LIMITS,
    )
    with (
        RegistryClient(job) as client,
        pytest.raises(RegistryAnswerError, match="names no"),
    ):
        client._new_token(Challenge(realm, "", ()))


def test_challenges_as_registries_write_them() -> None:
    found = parse_challenge('Bearer realm="https://a/t",service="s",scope="repository:x:pull repository:y:push,pull"')
    assert found == ("https://a/t", "s", ("repository:x:pull", "repository:y:push,pull"))
    assert parse_challenge('bearer  Scope=a , REALM = "https://a/\\"t"') == ('https://a/"t', "", ("a",))


@given(st.text(max_size=50) | st.text(alphabet='bearer ="\\,realmscope', max_size=80))
def test_any_challenge_is_read_or_not(header: str) -> None:
    found = parse_challenge(header)
    assert found is None or found.realm
