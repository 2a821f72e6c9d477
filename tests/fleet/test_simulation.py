"""The simulation of fleets: it counts right, and the policy is worth its name."""

import pytest
from benchmarks.fleet.replica import SLOTS, SimulatedReplica
from benchmarks.fleet.simulation import Policy, simulate
from benchmarks.fleet.traffic import Ask, Talk, Traffic


def test_the_same_seed_gives_the_same_numbers() -> None:
    assert simulate(Policy.PREFIX, 2, seconds=100, seed=3) == simulate(Policy.PREFIX, 2, seconds=100, seed=3)


@pytest.mark.parametrize("seed", [1, 2])
def test_routing_by_prefix_reads_less_and_answers_sooner(seed: int) -> None:
    found = {policy: simulate(policy, 6, seconds=200, seed=seed) for policy in Policy}
    for other in (Policy.ROUND_ROBIN, Policy.LEAST_LOADED):
        assert found[Policy.PREFIX].hit_rate > 1.3 * found[other].hit_rate
        assert found[Policy.PREFIX].first_p50_s < found[other].first_p50_s
        assert found[Policy.PREFIX].copies < found[other].copies


def test_every_turn_is_answered() -> None:
    traffic, replica, now_s, answered = Traffic(0.5, 60, seed=1), SimulatedReplica("one"), 0.0, 0
    while traffic.next_s is not None or replica.busy:
        if traffic.next_s is not None and (not replica.busy or traffic.next_s <= now_s):
            now_s = max(now_s, traffic.next_s)
            replica.waiting.append(traffic.take())
        now_s, firsts, done = replica.step(now_s)
        assert all(0 <= first.cached_tokens < first.prompt_tokens for first in firsts)
        for ask in done:
            answered += 1
            traffic.answered(ask, now_s)
            replica.stored(ask)
    assert answered > SLOTS


def test_a_conversation_that_is_carried_on_needs_only_its_new_part_read() -> None:
    replica, talk, now_s = SimulatedReplica("one"), Talk(1, 1, 100, 1), 0.0
    cached = []
    for number in range(2):
        talk.grow(200)
        replica.waiting.append(Ask(now_s, number, talk, 0, 50))
        while replica.busy:
            now_s, firsts, done = replica.step(now_s)
            cached += [first.cached_tokens for first in firsts]
        talk.grow(50)
        replica.stored(done[0])
    assert cached == [0, 250 // 32 * 32]
