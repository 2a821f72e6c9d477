"""What answers of /v1/chat/completions and /v1/completions are made of. Fields at their default are left out."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import msgspec

from swell.api.http.events import Event
from swell.api.http.json import encode
from swell.api.ollama.replies import LogprobToken, logprob_list
from swell.text.parsing.parts import Likelihood, ToolCall
from swell.turns.events import Finish

FINGERPRINT = "fp_ollama"
DONE = Event(b"[DONE]")
"""The last event of a stream."""

_IDS = 999
"""Ollama's ids are numbers below this."""


@dataclass(frozen=True)
class Identity:
    """What all pieces of an answer have in common. `created_s` are seconds since 1970."""

    id: str
    model: str
    created_s: int

    @classmethod
    def new(cls, prefix: str, model: str) -> "Identity":
        return cls(f"{prefix}-{random.randrange(_IDS)}", model, int(time.time()))


class PromptDetails(msgspec.Struct, kw_only=True):
    """How much of a prompt needn't be computed."""

    cached_tokens: int = 0


class Usage(msgspec.Struct, kw_only=True):
    """Tokens read and written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: PromptDetails = msgspec.field(default_factory=PromptDetails)

    @classmethod
    def of(cls, finishes: Sequence[Finish]) -> Self:
        """That of several answers to one prompt, which counts once: as the one did that found least of it cached."""
        prompt = max((finish.prompt_eval_count for finish in finishes), default=0)
        completion = sum(finish.eval_count for finish in finishes)
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            prompt_tokens_details=PromptDetails(
                cached_tokens=min((finish.cached_tokens for finish in finishes), default=0)
            ),
        )


class CalledFunction(msgspec.Struct, kw_only=True):
    """`arguments` is JSON in a string."""

    name: str
    arguments: str


class Call(msgspec.Struct, kw_only=True):
    id: str
    index: int
    type: str
    function: CalledFunction

    @classmethod
    def of(cls, index: int, call: ToolCall) -> Self:
        """Call number `index` of an answer."""
        function = CalledFunction(name=call.name, arguments=encode(call.arguments).decode())
        return cls(id=call.id, index=index, type="function", function=function)


class TokenLogprob(LogprobToken, kw_only=True):
    """Unlike Ollama's, always with a list of alternatives."""

    top_logprobs: list[LogprobToken]


class Logprobs(msgspec.Struct):
    content: list[TokenLogprob]

    @classmethod
    def of(cls, likelihoods: Sequence[Likelihood]) -> Self | None:
        """None where there are none."""
        tokens = [
            TokenLogprob(token=one.token, logprob=one.logprob, bytes=one.bytes, top_logprobs=one.top_logprobs)
            for one in logprob_list(likelihoods) or ()
        ]
        return cls(tokens) if tokens else None


class ReplyMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    role: str
    content: str
    reasoning: str = ""
    tool_calls: list[Call] = []


class Choice(msgspec.Struct, kw_only=True, omit_defaults=True):
    index: int
    message: ReplyMessage
    finish_reason: str
    logprobs: Logprobs | None = None


class ChatCompletion(msgspec.Struct, kw_only=True):
    """A whole answer. `created` are seconds since 1970."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage


class Delta(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A piece of a message; the last one is empty, all others have a content, if only an empty one."""

    role: str = ""
    content: str | None = None
    reasoning: str = ""
    tool_calls: list[Call] = []


class ChunkChoice(msgspec.Struct, kw_only=True, omit_defaults=True):
    index: int
    delta: Delta
    finish_reason: str | None
    logprobs: Logprobs | None = None


class ChatChunk(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A piece of a streamed answer; one with usage has no choices."""

    id: str
    object: str
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
