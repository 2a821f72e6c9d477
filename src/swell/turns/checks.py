"""Checks of a request that more than one endpoint makes, each in its own order."""

import asyncio
from collections.abc import Sequence

import msgspec

from swell.errors import (
    InvalidFormatError,
    InvalidRequestError,
    ModelLoadError,
    NoEmbeddingsError,
    UnsupportedError,
)
from swell.models.catalog import Catalog, is_path
from swell.models.model import Model

_TOP_LOGPROBS_MAX = 20
_ANY_OBJECT = '{"type": "object"}'


async def find_model(catalog: Catalog, name: str, *, allow_path: bool) -> Model:
    """The model called `name`, or the file, if the client may name files. In a thread: it may read a header.

    Raises what `Catalog.find` does, but InvalidRequestError for a file that is no model: the client chose it.
    """
    try:
        return await asyncio.to_thread(catalog.find, name, allow_path=allow_path)
    except ModelLoadError as error:
        if is_path(name):
            raise InvalidRequestError(str(error)) from error
        raise


def check_top_logprobs(count: int) -> None:
    """Raises InvalidRequestError for more alternatives per token than there may be."""
    if not 0 <= count <= _TOP_LOGPROBS_MAX:
        raise InvalidRequestError(f"top_logprobs must be between 0 and {_TOP_LOGPROBS_MAX}")


def check_thinking(name: str, model: Model, think: bool | str | None) -> None:
    """Raises UnsupportedError if thinking is asked for and the model can't. `name` as the client sent it."""
    if think and "thinking" not in model.capabilities:
        raise UnsupportedError(f'"{name}"', "thinking")


def check_completes(name: str, model: Model, endpoint: str) -> None:
    """Raises UnsupportedError for an embedding model, which neither generates nor chats."""
    if "completion" not in model.capabilities:
        raise UnsupportedError(f'"{name}"', endpoint)


def check_embeds(name: str, model: Model) -> None:
    """Raises NoEmbeddingsError unless it is an embedding model; vectors of others are of no use."""
    if "embedding" not in model.capabilities:
        raise NoEmbeddingsError(f'"{name}"')


def check_images(model: Model, images: Sequence[str]) -> None:
    """Raises UnsupportedError if there are any and the model can't see."""
    if images and "vision" not in model.capabilities:
        raise UnsupportedError(model.full_name, "vision")


def schema_of(format: object) -> str | None:
    """The field `format` as a JSON schema; None for free text. Raises InvalidFormatError."""
    if format in (None, ""):
        return None
    if format == "json":
        return _ANY_OBJECT
    if isinstance(format, dict):
        return msgspec.json.encode(format).decode()
    raise InvalidFormatError(str(format))
