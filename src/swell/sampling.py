"""How tokens are chosen, as data: shared by the options of a request, the protocol and the sampler."""

from enum import Enum

import msgspec


class Mirostat(Enum):
    """Sampling that keeps the surprise of its tokens near a target, in its two versions."""

    OFF = 0
    V1 = 1
    V2 = 2


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """The names and meanings of Ollama's options. `temperature` 0 is greedy; `seed` is never negative here."""

    seed: int
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    mirostat: Mirostat = Mirostat.OFF
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1


class ThinkingPreamble(msgspec.Struct, frozen=True, kw_only=True):
    """What may stand before a document: it begins with `opening` and ends with one of `closings`.

    With an empty `opening` it has begun already, in the prompt. Otherwise it may be missing.
    """

    opening: str
    closings: list[str]

    @property
    def tags(self) -> list[bytes]:
        """The opening and the closing tags as bytes."""
        return [tag.encode() for tag in (self.opening, *self.closings)]
