"""How likely tokens were, from the logits they were chosen from."""

import ctypes
from typing import NamedTuple

from swell.llama.context import Context
from swell.llama.library import api


class TokenLogprob(NamedTuple):
    token: int
    logprob: float


def logprobs(context: Context, batch_index: int, token: int, count: int) -> tuple[float, list[TokenLogprob]]:
    """The natural logarithm of the probability of `token`, and the `count` likeliest tokens, likeliest first.

    Of the model's own distribution, before anything was done to it by sampling. Costs 0.4 ms for 49,152 tokens.
    """
    import numpy as np  # 25 MB that a runner needs only if somebody asks for this

    size = context.model.vocabulary.size
    row = api.llama_get_logits_ith(context.pointer, batch_index)
    logits = np.ctypeslib.as_array(ctypes.cast(row, ctypes.POINTER(ctypes.c_float)), (size,))
    highest = float(logits.max())
    total = highest + float(np.log(np.exp(logits - highest, dtype=np.float64).sum()))
    likeliest = np.argpartition(logits, -count)[-count:] if count else np.empty(0, dtype=np.int64)
    ordered = likeliest[np.argsort(-logits[likeliest], kind="stable")]
    top = [TokenLogprob(int(one), min(0.0, float(logits[one]) - total)) for one in ordered]
    return min(0.0, float(logits[token]) - total), top
