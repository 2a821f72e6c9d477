"""The key by which a registry knows this user: Ollama's own, `~/.ollama/id_ed25519`."""

import base64
import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from swell.errors import StoreError


def signed(url: str, key_file: Path) -> str:
    """What proves to a registry that a GET of `url` comes from the owner of the key, which is made if there is none.

    Raises StoreError if the key can't be read or made.
    """
    try:
        key = _read(key_file) if key_file.exists() else _make(key_file)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise StoreError(str(key_file), f"the key can't be used: {error}") from error
    nothing = base64.b64encode(hashlib.sha256().hexdigest().encode()).decode()
    signature = base64.b64encode(key.sign(f"GET,{url},{nothing}".encode())).decode()
    return f"{_public_line(key).split()[1].decode()}:{signature}"


def _read(file: Path) -> Ed25519PrivateKey:
    key = load_ssh_private_key(file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError("it is no Ed25519 key")
    return key


def _make(file: Path) -> Ed25519PrivateKey:
    """A new key, unless another process has made one meanwhile: a key file is never replaced."""
    key = Ed25519PrivateKey.generate()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # nobody else may read it
    try:
        with open(descriptor, "wb") as new:
            new.write(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
            new.flush()
            os.fsync(new.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
            file.with_name(f"{file.name}.pub").write_bytes(_public_line(key) + b"\n")
    finally:
        os.unlink(temporary)
    return _read(file)


def _public_line(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
