"""Which replica a turn goes to. Pure: decides on what replicas have reported, and does nothing.

A turn goes where it is soonest at its first token. Reading takes time in proportion to the tokens that aren't there
yet, and to how many share the replica; so the one with the longest prefix wins unless it is short of window memory, has
no slot, or is so busy that reading more elsewhere is sooner.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from swell.protocol.prefixes import BLOCK_TOKENS

HIT_TOKENS_MIN = 64
"""A shorter prefix is no reason to go anywhere: a runner doesn't even copy it from one slot to another."""
GROWTH_TOKENS = 512
"""For so many tokens beyond its prompt a turn wants window memory where it goes."""
LOAD_TOKENS = 4096
"""To load a model takes as long as to read so many tokens, roughly, and then it takes memory, too."""
_CROWD = 4
"""A model with fewer slots is as busy as one with so many: who is alone needs no second replica."""


@dataclass(frozen=True, kw_only=True)
class ModelView:
    """A model that a replica has loaded: `busy` requests are in it, those that wait for one of its `slots` included.

    `prefixes` are the hashes of all blocks in slots. `kept_tokens` would be lost if a new conversation began; 0 where a
    slot is empty.
    """

    slots: int
    busy: int
    prefixes: Collection[int]
    kept_tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class ReplicaView:
    """A replica: the bytes that windows could have, those that a load could have, and its models by their keys.

    `queued` requests wait for a model to be loaded. One that is draining takes no more turns.
    """

    name: str
    free_bytes: int
    load_free_bytes: int
    models: Mapping[str, ModelView]
    queued: int = 0
    is_draining: bool = False


@dataclass(frozen=True, kw_only=True)
class RoutedTurn:
    """What is to be placed: the key of its model, the tokens of its prompt and the hashes of their blocks.

    `token_bytes`: window memory of a token; `load_bytes`: what the model takes where it isn't loaded. `avoided`:
    replicas that it must not go to if there is another one.
    """

    model: str
    tokens: int
    blocks: Sequence[int]
    token_bytes: int = 0
    load_bytes: int = 0
    avoided: Collection[str] = ()


class Route(NamedTuple):
    """The replica that a turn goes to, and how many tokens of its prompt that is thought to have."""

    replica: str
    hit_tokens: int


def route(turn: RoutedTurn, replicas: Collection[ReplicaView]) -> Route | None:
    """The best of `replicas` for a turn; None if all are draining, or there are none."""
    open_ones = [one for one in replicas if not one.is_draining]
    candidates = [one for one in open_ones if one.name not in turn.avoided] or open_ones
    if not candidates:
        return None
    return min((_rated(turn, one) for one in candidates), key=lambda rated: rated.rank).route


def spread(model: str, load_bytes: int, replicas: Collection[ReplicaView]) -> str | None:
    """The replica that should load a model, too, because all that have it are at least half busy, with more than one
    request, or have a conversation in every slot; None if none should, or has the memory. So it is there before turns
    would have to wait for it.
    """
    open_ones = [one for one in replicas if not one.is_draining]
    holders = [one.models[model] for one in open_ones if model in one.models]
    if not holders or any(2 * one.busy < max(one.slots, _CROWD) and not one.kept_tokens for one in holders):
        return None
    others = [
        one for one in open_ones if model not in one.models and not one.queued and one.load_free_bytes >= load_bytes
    ]
    return max(others, key=lambda one: (one.load_free_bytes, one.name)).name if others else None


def hit_tokens(blocks: Sequence[int], held: Collection[int]) -> int:
    """How many tokens at the beginning of a prompt are `held`: with a block's hash, all before it are."""
    low, high = 0, len(blocks)
    while low < high:
        middle = (low + high + 1) // 2
        if blocks[middle - 1] in held:
            low = middle
        else:
            high = middle - 1
    return low * BLOCK_TOKENS


class _Rated(NamedTuple):
    """A replica for a turn. Of two ranks the lesser one is better."""

    rank: tuple[bool, int, int, int, int, str]
    route: Route


def _rated(turn: RoutedTurn, replica: ReplicaView) -> _Rated:
    model = replica.models.get(turn.model)
    if model is None:
        needed = (turn.tokens + GROWTH_TOKENS) * turn.token_bytes + turn.load_bytes
        is_unable = replica.queued > 0 or replica.load_free_bytes < needed
        cost = LOAD_TOKENS * (1 + replica.queued) + turn.tokens
        return _Rated((is_unable, cost, 0, 0, -replica.load_free_bytes, replica.name), Route(replica.name, 0))
    found = hit_tokens(turn.blocks, model.prefixes)
    unread = turn.tokens - (found if found >= HIT_TOKENS_MIN else 0)
    is_unable = model.busy >= model.slots or replica.free_bytes < (unread + GROWTH_TOKENS) * turn.token_bytes
    waiting = max(0, model.busy - model.slots + 1)
    cost = unread * (1 + model.busy) + waiting * turn.tokens
    rank = (is_unable, cost, model.busy, model.kept_tokens, -replica.free_bytes, replica.name)
    return _Rated(rank, Route(replica.name, found))
