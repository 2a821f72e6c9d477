"""Reply bodies. The order of a struct's fields is the order on the wire; fields at their default are left out."""

import functools
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from swell.text.parsing.parts import Alternative, Likelihood
from swell.turns.events import Finish


class Reply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the lines of generate and chat begin with."""

    model: str
    created_at: str


class LogprobToken(msgspec.Struct, kw_only=True):
    """A token and the natural logarithm of its probability; `bytes` are those of `token` before it became text."""

    token: str
    logprob: float
    bytes: list[int]


class Logprob(LogprobToken, kw_only=True, omit_defaults=True):
    """A generated token, and the likeliest ones in its place."""

    top_logprobs: list[LogprobToken] = []


def logprob_list(likelihoods: Sequence[Likelihood]) -> list[Logprob] | None:
    """The field `logprobs`; None, and so left out, where there are none."""
    if not likelihoods:
        return None
    return [
        Logprob(**_token(one), top_logprobs=[LogprobToken(**_token(other)) for other in one.top]) for one in likelihoods
    ]


def _token(one: Alternative) -> dict[str, Any]:
    return {"token": one.data.decode("utf-8", "replace"), "logprob": one.logprob, "bytes": list(one.data)}


class GenerateReply(Reply, kw_only=True, omit_defaults=True):
    """A line, or the whole answer, of /api/generate. Durations are nanoseconds."""

    response: str
    thinking: str = ""
    done: bool
    done_reason: str = ""
    context: list[int] | None = None
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int | msgspec.UnsetType = msgspec.UNSET
    eval_duration: int = 0
    error: str = ""
    resumed: tuple[str, ...] = ()
    logprobs: list[Logprob] | None = None


class ReplyFunction(msgspec.Struct, kw_only=True):
    """What is called. `index` counts the calls of a turn."""

    index: int
    name: str
    arguments: dict[str, Any]


class ReplyCall(msgspec.Struct, kw_only=True):
    """A tool call of the assistant's."""

    id: str
    function: ReplyFunction


class ReplyMessage(msgspec.Struct, kw_only=True):
    """The assistant's message, or a piece of it."""

    role: str = "assistant"
    content: str
    thinking: str | msgspec.UnsetType = msgspec.UNSET
    tool_calls: list[ReplyCall] | msgspec.UnsetType = msgspec.UNSET


class ChatReply(Reply, kw_only=True, omit_defaults=True):
    """A line, or the whole answer, of /api/chat. Durations are nanoseconds."""

    message: ReplyMessage
    done: bool
    done_reason: str = ""
    logprobs: list[Logprob] | None = None
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int | msgspec.UnsetType = msgspec.UNSET
    eval_duration: int = 0
    error: str = ""
    resumed: tuple[str, ...] = ()


def finish_fields(finish: Finish) -> dict[str, Any]:
    """The fields of the last line of an answer."""
    fields = finish._asdict()
    del fields["tokens"], fields["cached_tokens"], fields["stop"]
    return fields


class EmbedReply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The answer of /api/embed. Durations are nanoseconds."""

    model: str
    embeddings: list[list[float]]
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0


class EmbeddingsReply(msgspec.Struct, kw_only=True):
    """The answer of /api/embeddings."""

    embedding: list[float]


def all_logprobs(replies: Sequence[GenerateReply | ChatReply]) -> list[Logprob] | None:
    """Those of all lines of an answer, in order."""
    found = [one for reply in replies for one in reply.logprobs or ()]
    return found or None


def created_at() -> str:
    """Now in UTC, up to nine digits after the point and none of them a trailing zero, as Go prints it."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    return f"{_second(seconds)}{fraction}Z"


def local_time(moment: datetime) -> str:
    """An aware time in RFC 3339 with the server's offset."""
    return moment.astimezone().isoformat()


@functools.lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    """Kept, because all tokens of a second share it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
