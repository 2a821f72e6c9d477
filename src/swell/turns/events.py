"""What a turn gives: that its prompt was read, the parts of the output, and how it ended."""

from collections.abc import Sequence
from typing import NamedTuple

from swell.text.parsing.parts import Part


class PromptRead(NamedTuple):
    """The prompt was read. Its length counts what was cached; the dropped is what didn't fit."""

    prompt_tokens: int
    dropped_messages: int
    dropped_tokens: int
    cached_tokens: int = 0


class Finish(NamedTuple):
    """The end of a turn: why, and its numbers. Durations are nanoseconds.

    With the reason "error", `error` says which one. `resumed` is what was tried, successfully in the end, to go on.
    `tokens` are those of the output. `cached_tokens` of the prompt needn't be computed. `stop` is the stop string that
    ended it, if one did.
    """

    done_reason: str
    total_duration: int
    load_duration: int
    prompt_eval_count: int
    prompt_eval_duration: int
    eval_count: int
    eval_duration: int
    error: str = ""
    resumed: tuple[str, ...] = ()
    tokens: Sequence[int] = ()
    cached_tokens: int = 0
    stop: str = ""


TurnEvent = PromptRead | Part | Finish
"""One Prompted, the parts as they come, one Finish."""
