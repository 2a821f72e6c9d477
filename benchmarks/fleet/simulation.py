"""Many replicas, one front, and a clock that jumps from event to event."""

import heapq
import itertools
from collections.abc import Callable, Sequence
from enum import Enum

import msgspec
from benchmarks.fleet.replica import MODEL, TOKEN_BYTES, FirstToken, SimulatedReplica
from benchmarks.fleet.traffic import Ask, Traffic, is_shared

from swell.bench.quantiles import percentile
from swell.fleet.routing import RoutedTurn, route

CONVERSATIONS_PER_S = 0.12
"""For each replica. In bursts it is more than a replica can do that finds nothing of a conversation again."""
WARM_UP_S = 60.0
"""What comes before isn't counted: nothing was stored anywhere yet."""


class Policy(Enum):
    """How the front chooses."""

    PREFIX = "prefix"
    ROUND_ROBIN = "round robin"
    LEAST_LOADED = "least loaded"


class SimulatedFleet(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one run. `hit_rate` is the share of all prompts' tokens that needn't be read; the times are those to
    the first token. `copies`: in how many slots a block of a conversation is at the end, if it is in any; blocks of
    system prompts don't count.
    """

    policy: Policy
    replicas: int
    turns: int
    hit_rate: float
    first_p50_s: float
    first_p95_s: float
    copies: float


def simulate(policy: Policy, count: int, *, seconds: float, seed: int) -> SimulatedFleet:
    """`count` replicas under their share of traffic for so long."""
    replicas = [SimulatedReplica(f"{index:03}") for index in range(count)]
    traffic = Traffic(CONVERSATIONS_PER_S * count, seconds, seed)
    choose = _choices(policy, replicas)
    steps: list[tuple[float, int]] = []
    results: list[FirstToken] = []
    pending: dict[int, list[Ask]] = {}
    while (next_s := traffic.next_s) is not None or steps:
        if next_s is not None and (not steps or next_s <= steps[0][0]):
            ask = traffic.take()
            index = choose(ask)
            replicas[index].waiting.append(ask)
            if not replicas[index].is_stepping:
                replicas[index].is_stepping = True
                heapq.heappush(steps, (ask.at_s, index))
            continue
        now_s, index = heapq.heappop(steps)
        replica = replicas[index]
        for ask in pending.pop(index, ()):
            traffic.answered(ask, now_s)
            replica.stored(ask)
        if not replica.busy:
            replica.is_stepping = False
            continue
        end_s, firsts, pending[index] = replica.step(now_s)
        results += [first for first in firsts if WARM_UP_S <= first.at_s <= seconds]
        heapq.heappush(steps, (end_s, index))
    return _summary(policy, replicas, results)


def _choices(policy: Policy, replicas: Sequence[SimulatedReplica]) -> Callable[[Ask], int]:
    """The index of the replica for each turn."""
    if policy is Policy.ROUND_ROBIN:
        turns = itertools.cycle(range(len(replicas)))
        return lambda _ask: next(turns)
    if policy is Policy.LEAST_LOADED:
        return lambda _ask: min(range(len(replicas)), key=lambda index: replicas[index].busy)
    indexes = {replica.name: index for index, replica in enumerate(replicas)}

    def by_prefix(ask: Ask) -> int:
        turn = RoutedTurn(model=MODEL, tokens=ask.talk.tokens, blocks=ask.talk.blocks, token_bytes=TOKEN_BYTES)
        found = route(turn, [replica.view() for replica in replicas])
        assert found is not None
        return indexes[found.replica]

    return by_prefix


def _summary(policy: Policy, replicas: Sequence[SimulatedReplica], results: Sequence[FirstToken]) -> SimulatedFleet:
    firsts = [one.after_s for one in results]
    blocks = [block for replica in replicas for slot in replica.slots for block in slot.blocks if not is_shared(block)]
    return SimulatedFleet(
        policy=policy,
        replicas=len(replicas),
        turns=len(results),
        hit_rate=round(sum(one.cached_tokens for one in results) / sum(one.prompt_tokens for one in results), 4),
        first_p50_s=round(percentile(firsts, 0.5), 4),
        first_p95_s=round(percentile(firsts, 0.95), 4),
        copies=round(len(blocks) / len(set(blocks)), 3),
    )
