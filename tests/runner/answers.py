"""Answers of an engine with what was likely instead, to compare where arithmetic differs in the last bits.

How many tokens are computed together, and in which order a window's cells lie, shows there. So two answers may part
where two tokens are as likely as each other but for that, and nowhere else.
"""

import math

from tests.runner.harness import Harness

from swell.protocol.messages import TokenLikelihood

ROUNDING = 0.2
"""In natural logarithms of probabilities. Another order of cells gives 0.075 at most, a wrong token 1 to 8."""

Answer = tuple[list[int], list[TokenLikelihood]]


def asked(harness: Harness, request_id: int, prompt: list[int], *, limit: int) -> Answer:
    harness.submit_tokens(request_id, prompt, limit=limit, top_logprobs=20)
    harness.run()
    likelihoods = [one for step in harness.steps for one in step.likelihoods if one.id == request_id]
    return harness.emitted(request_id), likelihoods


def distance(one: Answer, other: Answer) -> float:
    """By how much the token where `other` leaves `one` is less likely than that of `one`; 0 where it doesn't."""
    for token, likelihood, others in zip(*one, other[0], strict=False):
        if token != others:
            likelihoods = {choice.piece: choice.logprob for choice in likelihood.top}
            return likelihood.logprob - likelihoods.get(bytes([others]), -math.inf)
    return 0.0
