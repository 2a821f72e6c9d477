"""Digests: the SHA-256 of a blob's contents, by which it is named."""

import re

from swell.errors import InvalidDigestError

_PREFIX = "sha256"
_DIGEST = re.compile(rf"{_PREFIX}[:-]([0-9a-fA-F]{{64}})")
_MENTION = re.compile(rb"sha256[:-]([0-9a-f]{64})")


def digest_of(hexadecimal: str) -> str:
    """The digest as manifests and clients write it: "sha256:" and 64 hexadecimal digits."""
    return f"{_PREFIX}:{hexadecimal}"


def parse_digest(text: str) -> str:
    """The digest in `text`, in the form of `digest_of`; a hyphen may stand for the colon. Raises InvalidDigestError."""
    found = _DIGEST.fullmatch(text)
    if found is None:
        raise InvalidDigestError
    return digest_of(found[1].lower())


def mentioned_digests(content: bytes) -> set[str]:
    """All digests that occur anywhere in `content`, whatever it is."""
    return {digest_of(found.decode()) for found in _MENTION.findall(content)}
