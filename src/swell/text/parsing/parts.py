"""What a model's output is made of."""

import secrets
import string
from dataclasses import dataclass, field
from typing import Any

import msgspec

_ID_LETTERS = string.ascii_lowercase + string.digits


def new_call_id() -> str:
    """An id for a tool call, in the form that Ollama gives them."""
    return "call_" + "".join(secrets.choice(_ID_LETTERS) for _ in range(8))


@dataclass(frozen=True)
class Alternative:
    """A token that might have been chosen, and the natural logarithm of its probability."""

    data: bytes
    logprob: float


@dataclass(frozen=True)
class Likelihood(Alternative):
    """A token that was chosen, and the likeliest ones in its place."""

    top: tuple[Alternative, ...]


class Text(msgspec.Struct, frozen=True):
    """Some of the answer. Empty where tokens with likelihoods gave nothing to show yet."""

    text: str
    likelihoods: tuple[Likelihood, ...] = ()


class Thought(msgspec.Struct, frozen=True):
    """Some of the reasoning before the answer, without its tags."""

    text: str
    likelihoods: tuple[Likelihood, ...] = ()


@dataclass(frozen=True)
class ToolCall:
    """A whole call. The id is new and random, and so no part of what makes two calls equal."""

    name: str
    arguments: dict[str, Any]
    id: str = field(default_factory=new_call_id, compare=False)


Part = Text | Thought | ToolCall
