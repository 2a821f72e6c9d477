"""Model names: `[scheme://][host/][namespace/]model[:tag]`."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from swell.errors import InvalidRequestError

_DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
_DEFAULT_TAG = "latest"

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
_MODEL_OR_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_PART_MAX = 80  # characters


@dataclass(frozen=True)
class ModelName:
    """A complete name. Case is kept; compare by `key`."""

    host: str
    namespace: str
    model: str
    tag: str

    @property
    def short(self) -> str:
        """What people see: without the default host and namespace, always with the tag."""
        if self.host.lower() != _DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{self.model}:{self.tag}"
        return f"{self.model}:{self.tag}"

    @property
    def full(self) -> str:
        """Every part, as some error texts show it."""
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def key(self) -> str:
        """Equal for names that differ only in case."""
        return self.full.lower()


def parse_name(text: str) -> ModelName:
    """The name in `text`, missing parts filled in. Raises InvalidRequestError with Ollama's wording."""
    rest = text.partition("://")[2] or text
    rest = rest.removesuffix(":local")  # says "not the cloud's", which is what every name means here
    path, _, last = rest.rpartition("/")
    model, colon, tag = last.rpartition(":")
    if not colon:
        model, tag = last, _DEFAULT_TAG
    parts = path.split("/") if path else []
    namespace = parts.pop() if parts else DEFAULT_NAMESPACE
    host = parts.pop() if parts else _DEFAULT_HOST
    name = ModelName(host, namespace, model, tag)
    if parts or rest.startswith("/") or not _is_valid(name):
        raise InvalidRequestError("invalid model name")
    return name


class RemoteName(NamedTuple):
    """A name, and how its registry is spoken to: "https" or "http"."""

    scheme: str
    name: ModelName


def parse_remote_name(text: str) -> RemoteName:
    """The name in `text` with its scheme, which is https unless it says otherwise. Raises as `parse_name` does."""
    scheme, separator, _ = text.partition("://")
    scheme = scheme.lower() if separator else "https"
    if scheme not in ("https", "http"):
        raise InvalidRequestError("invalid model name")
    return RemoteName(scheme, parse_name(text))


def nearest_name(namespace: str, model: str) -> ModelName | None:
    """The name made of texts that may hold anything, such as those of files: what can't be in a name becomes a hyphen.

    None if nothing is left of `model`.
    """
    space = re.sub("[^A-Za-z0-9_-]+", "-", namespace).lstrip("-")[:_PART_MAX] or DEFAULT_NAMESPACE
    name = re.sub("[^A-Za-z0-9_.-]+", "-", model).lstrip("-.")[:_PART_MAX]
    return ModelName(_DEFAULT_HOST, space, name, _DEFAULT_TAG) if name else None


def _is_valid(name: ModelName) -> bool:
    return all(
        pattern.fullmatch(part)
        for pattern, part in (
            (_HOST, name.host),
            (_NAMESPACE, name.namespace),
            (_MODEL_OR_TAG, name.model),
            (_MODEL_OR_TAG, name.tag),
        )
    )
