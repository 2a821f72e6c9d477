"""Making a prompt fit its window: by leaving out whole messages, or else tokens."""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from swell.errors import InvalidRequestError, PromptTooLongError
from swell.text.prompts.messages import Message

log = logging.getLogger(__name__)

_KEEP_RESERVE_TOKENS = 4
"""How much of a window `num_keep` can't keep; llama.cpp's server has the same limit."""


def fits(prompt_tokens: int, window_tokens: int) -> bool:
    """Whether a prompt leaves room for at least one generated token."""
    return prompt_tokens <= window_tokens - 1


async def drop_oldest(
    messages: Sequence[Message],
    window_tokens: int,
    count_tokens: Callable[[Sequence[Message]], Awaitable[int]],
) -> Sequence[Message]:
    """`messages` without as many of the oldest as it takes to fit; the result may still be too long.

    System messages always stay, and so do what the user asked last and the last message. Calls go together with their
    results. `count_tokens` renders and tokenises messages, so the number to drop is found by bisection.

    Raises InvalidRequestError if the template refuses the whole conversation, and PromptTooLongError if it refuses the
    shortest one. Others that it refuses (say, because they start with the assistant) count as too long.
    """
    full_tokens = await count_tokens(messages)
    units = _droppable(messages)
    if not units or fits(full_tokens, window_tokens):
        return messages
    low, high, best = 1, len(units), len(units)
    while low < high:
        middle = (low + high) // 2
        accepted = await _first_accepted(messages, units, middle, count_tokens)
        if accepted is None or not fits(accepted.tokens, window_tokens):
            low = middle + 1
        else:
            high, best = middle, accepted.dropped
    kept = _without(messages, units[:best])
    try:
        await count_tokens(kept)
    except InvalidRequestError as error:
        raise PromptTooLongError(full_tokens, window_tokens) from error
    log.warning(
        "dropped the oldest %d of %d messages: their %d tokens don't fit a window of %d",
        len(messages) - len(kept),
        len(messages),
        full_tokens,
        window_tokens,
    )
    return kept


def truncate_tokens(prompt: list[int], window_tokens: int, keep_tokens: int) -> list[int]:
    """`prompt` without its middle: the first `keep_tokens` (negative: as many as may be kept) and the tail stay.

    Half of the rest of the window is left free for the answer, as in Ollama. A prompt that fits is returned as it is.
    Raises PromptTooLongError for a window that can't hold a prompt and an answer at all.
    """
    if fits(len(prompt), window_tokens):
        return prompt
    if window_tokens < 2:
        raise PromptTooLongError(len(prompt), window_tokens)
    most = max(window_tokens - _KEEP_RESERVE_TOKENS, 0)
    keep = most if keep_tokens < 0 else min(keep_tokens, most)
    total = window_tokens - max((window_tokens - keep) // 2, 1)
    log.warning(
        "dropped %d tokens from the middle of a prompt of %d: it doesn't fit a window of %d",
        len(prompt) - total,
        len(prompt),
        window_tokens,
    )
    return prompt[:keep] + prompt[len(prompt) - (total - keep) :]


def truncate_around(prefix: list[int], suffix: list[int], most_tokens: int) -> tuple[list[int], list[int]]:
    """The end of `prefix` and the beginning of `suffix`, together at most `most_tokens`: three quarters of `prefix`."""
    before = max(3 * most_tokens // 4, most_tokens - len(suffix))
    prefix = prefix[max(len(prefix) - before, 0) :]
    return prefix, suffix[: max(most_tokens - len(prefix), 0)]


def _droppable(messages: Sequence[Message]) -> list[list[int]]:
    """The indices of messages that may be dropped, the oldest first; those of a list are dropped together."""
    units: list[list[int]] = []
    for index, message in enumerate(messages):
        if message.role.lower() == "tool" and units and messages[units[-1][0]].tool_calls:
            units[-1].append(index)
        elif not message.is_system:
            units.append([index])
    staying = {*_asked(messages), len(messages) - 1}
    return [unit for unit in units if staying.isdisjoint(unit)]


def _asked(messages: Sequence[Message]) -> list[int]:
    """The indices of the user's last message and, if that only followed a result of a tool, of the task before it."""
    asked = [index for index, message in enumerate(messages) if message.role.lower() == "user"]
    tasks = [index for index in asked if index == 0 or messages[index - 1].role.lower() != "tool"]
    return asked[-1:] + tasks[-1:]


def _without(messages: Sequence[Message], units: Sequence[Sequence[int]]) -> list[Message]:
    dropped = {index for unit in units for index in unit}
    return [message for index, message in enumerate(messages) if index not in dropped]


class _Accepted(NamedTuple):
    """How many units were dropped, and the tokens of the rest."""

    dropped: int
    tokens: int


async def _first_accepted(
    messages: Sequence[Message],
    units: Sequence[Sequence[int]],
    start: int,
    count_tokens: Callable[[Sequence[Message]], Awaitable[int]],
) -> _Accepted | None:
    """Without `start` units or, if the template refuses that, one more: where roles must alternate, that is enough."""
    for dropped in range(start, min(start + 2, len(units) + 1)):
        with contextlib.suppress(InvalidRequestError):
            return _Accepted(dropped, await count_tokens(_without(messages, units[:dropped])))
    return None
