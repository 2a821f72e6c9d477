"""What clients send to Ollama's endpoints."""

from typing import Any

import msgspec

from swell.durations import keep_alive_s
from swell.errors import InvalidRequestError
from swell.text.prompts.messages import Message, Tool

_THINK_LEVELS = ("high", "medium", "low", "max")


class Common(msgspec.Struct, kw_only=True):
    """What generate and chat have in common. `keep_alive`, `think` and `format` are raw; see the functions below."""

    model: str = ""
    stream: bool = True
    format: Any = None
    options: dict[str, Any] = {}
    keep_alive: Any = None
    think: Any = None
    truncate: bool = True
    shift: bool | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    debug_render_only: bool = msgspec.field(default=False, name="_debug_render_only")


class GenerateBody(Common, kw_only=True):
    """POST /api/generate."""

    prompt: str = ""
    suffix: str = ""
    system: str = ""
    template: str = ""
    context: list[int] = []
    raw: bool = False
    images: list[str] = []


class ChatBody(Common, kw_only=True):
    """POST /api/chat."""

    messages: list[Message] = []
    tools: list[Tool] = []


class EmbedBody(msgspec.Struct, kw_only=True):
    """POST /api/embed. `input` and `keep_alive` are raw. `dimensions` 0 is all of them."""

    model: str = ""
    input: Any = None
    truncate: bool = True
    dimensions: int = 0
    options: dict[str, Any] = {}
    keep_alive: Any = None


class EmbeddingsBody(msgspec.Struct, kw_only=True):
    """POST /api/embeddings."""

    model: str = ""
    prompt: str = ""
    options: dict[str, Any] = {}
    keep_alive: Any = None


class ShowBody(msgspec.Struct, kw_only=True):
    """POST /api/show. `name` is the old name of `model`."""

    model: str = ""
    name: str = ""
    verbose: bool = False
    system: str = ""
    options: dict[str, Any] = {}


def keep_alive(value: object) -> float | None:
    """Seconds for the field `keep_alive`; None if it isn't given. Raises InvalidRequestError with Go's text."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidRequestError(f"keep_alive must be a number of seconds or a duration, not {type(value).__name__}")
    try:
        return keep_alive_s(value)
    except (ValueError, OverflowError) as error:  # OverflowError: an integer of more than 308 digits
        raise InvalidRequestError(str(error)) from error


def think(value: object) -> bool | str | None:
    """The field `think`; None if it isn't given. Raises InvalidRequestError with Ollama's wording."""
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise InvalidRequestError('think must be a boolean or string ("high", "medium", "low", "max", true, or false)')
    if value not in _THINK_LEVELS:
        raise InvalidRequestError(
            f'invalid think value: "{value}" (must be "high", "medium", "low", "max", true, or false)'
        )
    return value
