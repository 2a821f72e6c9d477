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
    """A token that could have been chosen, as bytes, and the natural logarithm of its probability."""

    data: bytes
    logprob: float


@dataclass(frozen=True)
class Likelihood(Alternative):
    """A token that was chosen, and the likeliest ones that could have been."""

    top: tuple[Alternative, ...]


class Text(msgspec.Struct, frozen=True):
    """A piece of the answer. It is empty where likelihoods of tokens are given of which nothing can be shown yet."""

    text: str
    likelihoods: tuple[Likelihood, ...] = ()


class Thought(msgspec.Struct, frozen=True):
    """A piece of the reasoning before the answer, without its tags."""

    text: str
    likelihoods: tuple[Likelihood, ...] = ()


@dataclass(frozen=True)
class ToolCall:
    """A whole call. Calls with the same name and arguments are equal; each has a random id of its own."""

    name: str
    arguments: dict[str, Any]
    id: str = field(default_factory=new_call_id, compare=False)


Part = Text | Thought | ToolCall
