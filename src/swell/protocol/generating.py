"""Generating: a prompt goes to the runner, and tokens come back step by step."""

from enum import Enum

import msgspec

from swell.protocol.failures import Failed
from swell.sampling import Sampling, ThinkingPreamble


class FinishReason(Enum):
    """Why a generation ended by itself."""

    STOP = "stop"  # the model ended its answer
    LENGTH = "length"  # its limit or the end of its window


class Generate(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Carry `prompt` on for at most `limit_tokens` tokens in a window of `window_tokens`, prompt included.

    What happens when the window is full depends on `keep_tokens`: with None the generation ends; with a number, that
    many tokens at the beginning are kept, half of those after them are forgotten, and it goes on.

    `emitted` are tokens that another runner generated before it was lost: they count towards `limit_tokens`, but they
    are not sent again. With `top_logprobs`, a TokenLikelihood with so many alternatives comes with every token.
    """

    id: int
    prompt: list[int]
    window_tokens: int
    limit_tokens: int
    sampling: Sampling
    keep_tokens: int | None = None
    batch_tokens: int | None = None  # how many tokens of the prompt may be computed together
    threads: int | None = None  # heeded in batches in which every generation brings a number
    schema: str | None = None  # a JSON schema that the output must follow
    preamble: ThinkingPreamble | None = None  # what may stand before that output
    top_logprobs: int | None = None
    visible: list[str] = []  # control tokens that are sent with their text; others are sent without
    cut_tokens: int = 0  # were left out of the prompt before; only counted
    emitted: list[int] = []


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Stop request `id`, even while a batch is computed. Never answered: the server has forgotten the request."""

    id: int


class Prefilled(msgspec.Struct, frozen=True, array_like=True):
    """The prompt of generation `id` is computed. Sent with its first token; `prompt_tokens` counts cached ones, too."""

    id: int
    prompt_tokens: int
    cached_tokens: int
    prompt_ns: int


class Emitted(msgspec.Struct, frozen=True, array_like=True):
    """A token of generation `id`, with the bytes it stands for; none for control tokens that aren't `visible`."""

    id: int
    token: int
    piece: bytes


class TokenAlternative(msgspec.Struct, frozen=True, array_like=True):
    """A token that could have been sampled, as bytes, and the natural logarithm of its probability."""

    logprob: float
    piece: bytes


class TokenLikelihood(msgspec.Struct, frozen=True, array_like=True):
    """How likely the token was that generation `id` emits in the same step, and the likeliest tokens there."""

    id: int
    logprob: float
    top: list[TokenAlternative]


class Finished(msgspec.Struct, frozen=True, array_like=True):
    """Generation `id` has ended by itself."""

    id: int
    reason: FinishReason
    generate_ns: int


class StepOutput(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """What one decoding step gave, for all generations. For each of them it happened in the order of the fields."""

    prefilled: list[Prefilled] = []
    emitted: list[Emitted] = []
    likelihoods: list[TokenLikelihood] = []
    finished: list[Finished] = []
    failed: list[Failed] = []
