"""Making a prompt fit its window: by whole messages (stage A), or by tokens (stage B)."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from swell.errors import InvalidRequestError, PromptTooLongError
from swell.server.prompts.messages import Message

log = logging.getLogger(__name__)

_KEEP_RESERVE_TOKENS = 4
"""How much of a window can't be claimed by `num_keep`; llama.cpp's server has the same limit."""


def fits(prompt_tokens: int, window_tokens: int) -> bool:
    """Whether a prompt leaves room for at least one generated token."""
    return prompt_tokens <= window_tokens - 1


async def drop_oldest(
    messages: Sequence[Message],
    window_tokens: int,
    count_tokens: Callable[[Sequence[Message]], Awaitable[int]],
) -> Sequence[Message]:
    """`messages` without as many of the oldest as it takes to fit; system messages and the last one always stay.

    The result may still be too long. Bisects, because a linear search renders and tokenises a long conversation once
    for every message it drops. A shortened conversation that the template refuses (say, because it now starts with the
    assistant) counts as too long; one refused in full length is the client's to correct: InvalidRequestError.
    """
    full_tokens = await count_tokens(messages)
    if len(messages) < 2 or fits(full_tokens, window_tokens):
        return messages
    last = len(messages) - 1
    low, high, best = 1, last, last
    while low < high:
        middle = (low + high) // 2
        accepted, tokens = await _first_accepted(messages, middle, count_tokens)
        if accepted < last and not fits(tokens, window_tokens):
            low = middle + 1
        else:
            high, best = middle, accepted
    kept = _from(messages, best)
    log.warning(
        "dropped the oldest %d of %d messages: their %d tokens don't fit a window of %d",
        len(messages) - len(kept),
        len(messages),
        full_tokens,
        window_tokens,
    )
    return kept


def truncate_tokens(prompt: list[int], window_tokens: int, keep_tokens: int) -> list[int]:
    """`prompt` cut out of the middle: the first `keep_tokens` (negative: all that may be kept) and the tail.

    Leaves half of what isn't kept free for the answer, as Ollama does. A prompt that fits is returned as it is.
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
    """The end of `prefix` and the beginning of `suffix`, together at most so many tokens, three quarters before."""
    before = max(3 * most_tokens // 4, most_tokens - len(suffix))
    prefix = prefix[max(len(prefix) - before, 0) :]
    return prefix, suffix[: max(most_tokens - len(prefix), 0)]


def _from(messages: Sequence[Message], start: int) -> list[Message]:
    return [message for index, message in enumerate(messages) if index >= start or message.is_system]


async def _first_accepted(
    messages: Sequence[Message], start: int, count_tokens: Callable[[Sequence[Message]], Awaitable[int]]
) -> tuple[int, int]:
    """The first cut at or after `start` that the template accepts, and its tokens; the last message's cut counts as
    accepted and is not measured, because it stays whatever it is."""
    last = len(messages) - 1
    for cut in range(start, last):
        try:
            return cut, await count_tokens(_from(messages, cut))
        except InvalidRequestError:
            continue
    return last, 0
