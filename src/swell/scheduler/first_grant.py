"""What each slot is granted when a model is loaded."""

from collections.abc import Sequence
from typing import NamedTuple

from swell.cache import INITIAL_TOKENS
from swell.models.model import Model
from swell.scheduler.cells import context_max
from swell.settings import Settings
from swell.sizes.learning import learned_grant


class FirstGrant(NamedTuple):
    """Tokens: those to grant while memory is free, and the part of them that is counted on where a load is decided and
    placed.

    What was learned may be long. It must not cost a model its place, nor a layer its device: then it isn't granted.
    """

    wanted_tokens: int
    counted_tokens: int


def first_grant(model: Model, settings: Settings, sizes: Sequence[int] = ()) -> FirstGrant:
    """By the settings or, if they leave that open, by the `sizes` of the model's latest turns."""
    if settings.kv_initial_tokens is not None:
        return FirstGrant(settings.kv_initial_tokens, settings.kv_initial_tokens)
    wanted = learned(model, settings, sizes) or INITIAL_TOKENS
    return FirstGrant(wanted, min(wanted, INITIAL_TOKENS))


def learned(model: Model, settings: Settings, sizes: Sequence[int]) -> int | None:
    """What `sizes` teach for the next load; None if nothing is to be learned, or not yet."""
    if not settings.learns_first_grant or model.weights.embeds:
        return None
    window_tokens = settings.context_ceiling(context_max(model))
    return learned_grant(sizes, block_tokens=settings.kv_grow_tokens, window_tokens=window_tokens)
