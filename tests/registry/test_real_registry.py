"""Against a registry that others wrote, and beside a client that others wrote."""

import base64
import datetime
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.registry.real import directory, docker_registry, skopeo
from tests.registry.scripted import Exchange, ScriptedRegistry, digest, layer, manifest
from tests.registry.transferring import check_store, transfer

from swell.errors import RegistryStatusError
from swell.registry.messages import Direction
from swell.store.manifests import CONFIG_TYPE, LAYER_TYPE
from swell.store.names import parse_name
from swell.store.progress import Progress
from swell.store.store import Store

pytestmark = pytest.mark.slow

WEIGHTS = random.Random(5).randbytes(4_000_000)
CONFIG = b'{"model_format":"gguf"}'
PLAIN = "--dest-tls-verify=false"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("real") / "registry") as running:
        yield running


def store_model(folder: Path, name: str) -> bytes:
    """Have a model as Ollama makes them; its manifest."""
    store = Store(folder)
    store.blobs.folder.mkdir(parents=True, exist_ok=True)
    system = b"You are a bird."
    for content in (WEIGHTS, system, CONFIG):
        store.blobs.write(content)
    made = manifest(layer(WEIGHTS), layer(system, f"{LAYER_TYPE}system"), config=layer(CONFIG, CONFIG_TYPE))
    store.commit(parse_name(name), made)
    return made


def test_what_was_pushed_is_pulled(host: str, folder: Path, tmp_path: Path) -> None:
    name = f"{host}/me/bird:v1"
    made = store_model(folder, name)
    assert transfer(folder, name, Direction.PUSH)[-1] == Progress("success")
    other = tmp_path / "other"
    assert transfer(other, name)[-1] == Progress("success")
    check_store(other)
    (written,) = other.glob("manifests/*/me/bird/v1")
    assert written.read_bytes() == made
    assert {path.name for path in other.glob("blobs/*")} == {path.name for path in folder.glob("blobs/*")}


def test_skopeo_reads_what_swell_pushed(host: str, folder: Path, tmp_path: Path) -> None:
    name = f"{host}/me/seen:v1"
    made = store_model(folder, name)
    transfer(folder, name, Direction.PUSH)
    raw = skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{name}")
    assert raw.encode() == made


def test_skopeo_copies_what_swell_pushed(host: str, folder: Path, tmp_path: Path) -> None:
    """A manifest whose media types it knows: it checks every blob."""
    source = directory(tmp_path / "source", [WEIGHTS, b"text"], f"{LAYER_TYPE}model")
    store, name = Store(folder), f"{host}/me/copied:latest"
    store.blobs.folder.mkdir(parents=True)
    for file in source.iterdir():
        if len(file.name) == 64:
            store.blobs.write(file.read_bytes())
    store.commit(parse_name(name), (source / "manifest.json").read_bytes())
    transfer(folder, name, Direction.PUSH)
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path / 'copy'}")
    copied, given = ({f.name: f.read_bytes() for f in at.iterdir()} for at in (tmp_path / "copy", source))
    assert copied == given


def test_swell_pulls_what_skopeo_pushed(host: str, folder: Path, tmp_path: Path) -> None:
    source = directory(tmp_path / "source", [WEIGHTS, b"text"], f"{LAYER_TYPE}model")
    name = f"{host}/library/theirs:latest"
    skopeo("copy", PLAIN, f"dir:{source}", f"docker://{name}")
    assert transfer(folder, f"http://{name}")[-1] == Progress("success")
    check_store(folder)
    assert Store(folder).blobs.path(digest(WEIGHTS)).read_bytes() == WEIGHTS
    (written,) = folder.glob("manifests/*/library/theirs/latest")
    assert written.read_bytes() == (source / "manifest.json").read_bytes()


def test_a_push_that_is_killed_is_done_again(host: str, folder: Path, tmp_path: Path) -> None:
    name = f"{host}/me/killed:v1"
    store_model(folder, name)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    command = (sys.executable, "-m", "tests.registry.one_transfer", str(folder), name, "push")
    for status in ("retrieving manifest", "pushing", "pushing manifest"):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            assert any(line.startswith(status) for line in server.stdout)
            server.kill()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert transfer(folder, name, Direction.PUSH)[-1] == Progress("success")
    assert transfer(tmp_path / "other", name)[-1] == Progress("success")
    check_store(tmp_path / "other")


# --- authorisation ---------------------------------------------------------------------------------------------


class TokenServer:
    """Gives to everybody what the registry wants: a signed token for the scopes that are asked for."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        now = datetime.datetime.now(datetime.UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(self._key, SHA256())
        )
        self.bundle = folder / "tokens.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def answer(self, exchange: Exchange) -> bool:
        query = parse_qs(urlsplit(exchange.target).query)
        access = []
        for scope in query.get("scope", []):
            kind, name, actions = scope.split(":")
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        return exchange.reply(200, json.dumps({"token": self._token(query["service"][0], access)}).encode())

    def _token(self, audience: str, access: Sequence[object]) -> str:
        der = self._certificate.public_bytes(Encoding.DER)
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        now = int(time.time())
        claims = {"iss": "tokens", "sub": "", "aud": audience, "access": access}
        times = {"nbf": now - 60, "iat": now - 60, "exp": now + 600, "jti": "1"}
        text = f"{_base64(json.dumps(head).encode())}.{_base64(json.dumps({**claims, **times}).encode())}"
        r, s = utils.decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(SHA256())))
        return f"{text}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_registry_with_tokens(registry: ScriptedRegistry, folder: Path, tmp_path: Path) -> None:
    """The token server is a host of its own, so it is asked without a signature; pushing needs more than pulling."""
    tokens = TokenServer(tmp_path)
    registry.script = tokens.answer
    auth = {
        "token": {
            "realm": f"http://{registry.host}/token",
            "service": "registry",
            "issuer": "tokens",
            "rootcertbundle": str(tokens.bundle),
        }
    }
    with docker_registry(tmp_path / "registry", auth) as host:
        name = f"{host}/me/guarded:v1"
        store_model(folder, name)
        assert transfer(folder, name, Direction.PUSH)[-1] == Progress("success")
        assert transfer(tmp_path / "other", name)[-1] == Progress("success")
        check_store(tmp_path / "other")
    assert all("Authorization" not in asked.headers for asked in registry.asked)


def test_a_registry_with_passwords(folder: Path, tmp_path: Path) -> None:
    """Swell has none, and says that it was refused."""
    passwords = tmp_path / "htpasswd"
    passwords.write_text("me:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\n")
    auth = {"htpasswd": {"realm": "registry", "path": str(passwords)}}
    with docker_registry(tmp_path / "registry", auth) as host, pytest.raises(RegistryStatusError, match="401"):
        transfer(folder, f"{host}/me/guarded:v1")
