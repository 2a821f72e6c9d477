"""What a full window forgets, and what a request that began in another runner remembers. Pure."""

from collections.abc import Sequence

from swell.runner.slots import EngineRequest

RECALL_TOKENS_MAX = 512
"""Computed one by one on the smallest model in about 6 s; a prompt of as many tokens takes 2 s."""


def forgotten(tokens: int, keep: int, window_tokens: int) -> range:
    """Which positions to forget when a window of `window_tokens` is full: half of what follows the first `keep`.

    The newest of `tokens` has no cell yet and is not counted.
    """
    keep = min(keep, window_tokens - 2)
    return range(keep, keep + max((tokens - 1 - keep) // 2, 1))


def recall(request: EngineRequest, emitted: Sequence[int]) -> None:
    """Add the tokens that another runner `emitted`: afterwards the request knows what it knew there.

    So many tokens that computing them one by one would keep a client waiting are read like a prompt.
    """
    for token in emitted:
        request.known.append(token)
        if len(request.known) >= request.window_tokens and request.keep_tokens is not None:
            gap = forgotten(len(request.known), request.keep_tokens, request.window_tokens)
            del request.known[gap.start : gap.stop]
            request.read_tokens = len(request.known)
    request.generated_tokens = len(emitted)
    if len(request.known) - request.read_tokens > RECALL_TOKENS_MAX:
        request.read_tokens = len(request.known)
