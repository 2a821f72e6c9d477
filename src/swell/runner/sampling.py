"""From the logits of a batch to the next token of each slot in it."""

from collections.abc import Sequence
from typing import NamedTuple

from swell.errors import InvalidRequestError
from swell.llama.context import Context
from swell.llama.logprobs import logprobs
from swell.llama.model import Vocabulary
from swell.protocol.messages import TokenAlternative, TokenLikelihood
from swell.runner.planning import SlotBatch
from swell.runner.slots import EngineRequest, Slot


class SampledToken(NamedTuple):
    """The next token of a slot's request, or the error for which there is none; how likely it is, if that was asked."""

    slot: Slot
    request: EngineRequest
    token: int | InvalidRequestError
    likelihood: TokenLikelihood | None


def sample(parts: Sequence[SlotBatch], context: Context, vocabulary: Vocabulary) -> list[SampledToken]:
    """Choose the next token of each slot that has logits in `context`.

    Call before any slot changes: a store may move its cells into another context when a slot gives some back.
    """
    sampled = []
    for part in parts:
        if part.logits_index is None:
            continue
        request, likelihood = part.request, None
        try:
            token = request.sampler.sample(context, part.logits_index)
        except InvalidRequestError as error:
            sampled.append(SampledToken(part.slot, request, error, None))
            continue
        if request.top_logprobs is not None:
            logprob, top = logprobs(context, part.logits_index, token, request.top_logprobs)
            alternatives = [TokenAlternative(one.logprob, vocabulary.piece(one.token)) for one in top]
            likelihood = TokenLikelihood(request.id, logprob, alternatives)
        sampled.append(SampledToken(part.slot, request, token, likelihood))
    return sampled
