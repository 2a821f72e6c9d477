"""Where turns go: properties that hold whatever replicas report."""

import dataclasses
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from swell.fleet.routing import (
    GROWTH_TOKENS,
    HIT_TOKENS_MIN,
    ModelView,
    ReplicaView,
    RoutedTurn,
    hit_tokens,
    route,
    spread,
)
from swell.protocol.prefixes import BLOCK_TOKENS

MODEL = "model"
CHAIN = list(range(1000, 1032))
"""The blocks of the conversation that is routed; others are never equal to them."""


@st.composite
def models(draw: st.DrawFn) -> ModelView:
    held = draw(st.integers(0, len(CHAIN)))
    return ModelView(
        slots=draw(st.integers(1, 8)),
        busy=draw(st.integers(0, 10)),
        prefixes=frozenset(CHAIN[:held] + draw(st.lists(st.integers(0, 99)))),
        kept_tokens=draw(st.integers(0, 4096)),
    )


@st.composite
def fleets(draw: st.DrawFn) -> list[ReplicaView]:
    return [
        ReplicaView(
            name=f"replica {number}",
            free_bytes=draw(st.integers(0, 4096)),
            load_free_bytes=draw(st.integers(0, 8192)),
            models={MODEL: draw(models())} if draw(st.booleans()) else {},
            queued=draw(st.integers(0, 2)),
            is_draining=draw(st.booleans()),
        )
        for number in range(draw(st.integers(1, 6)))
    ]


turns = st.builds(
    lambda blocks, more: RoutedTurn(
        model=MODEL, tokens=blocks * BLOCK_TOKENS + more, blocks=CHAIN[:blocks], token_bytes=1, load_bytes=1000
    ),
    st.integers(0, len(CHAIN)),
    st.integers(1, BLOCK_TOKENS - 1),
)


def idle(name: str = "idle", **changes: Any) -> ReplicaView:
    """A replica that could take any turn at once."""
    model = ModelView(slots=4, busy=0, prefixes=frozenset())
    return dataclasses.replace(
        ReplicaView(name=name, free_bytes=1 << 20, load_free_bytes=1 << 20, models={MODEL: model}), **changes
    )


def with_model(replica: ReplicaView, **changes: Any) -> ReplicaView:
    return dataclasses.replace(replica, models={MODEL: dataclasses.replace(replica.models[MODEL], **changes)})


@given(turns, fleets())
def test_there_is_a_place_unless_all_are_draining(turn: RoutedTurn, fleet: list[ReplicaView]) -> None:
    found = route(turn, fleet)
    open_names = {one.name for one in fleet if not one.is_draining}
    assert (found is None) == (not open_names)
    assert found is None or found.replica in open_names


@given(turns, fleets(), st.randoms())
def test_the_order_of_reports_makes_no_difference(turn: RoutedTurn, fleet: list[ReplicaView], random: Any) -> None:
    shuffled = list(fleet)
    random.shuffle(shuffled)
    assert route(turn, shuffled) == route(turn, fleet)


@given(turns, fleets())
def test_who_can_begin_at_once_goes_before_who_can_not(turn: RoutedTurn, fleet: list[ReplicaView]) -> None:
    able = idle()
    found = route(turn, [*fleet, able])
    assert found is not None
    chosen = next(one for one in [*fleet, able] if one.name == found.replica)
    model = chosen.models.get(MODEL)
    if model is None:
        assert chosen.queued == 0
    else:
        assert model.busy < model.slots
        hit = found.hit_tokens if found.hit_tokens >= HIT_TOKENS_MIN else 0
        assert chosen.free_bytes >= turn.tokens - hit + GROWTH_TOKENS


@given(turns, fleets())
def test_avoided_replicas_are_a_last_resort(turn: RoutedTurn, fleet: list[ReplicaView]) -> None:
    first = route(turn, fleet)
    assume(first is not None)
    assert first is not None
    second = route(dataclasses.replace(turn, avoided=[first.replica]), fleet)
    others = [one for one in fleet if not one.is_draining and one.name != first.replica]
    assert second is not None
    assert (second.replica == first.replica) == (not others)


@given(turns, fleets(), st.integers(0, len(CHAIN)))
def test_the_chosen_one_stays_the_best_with_more_of_what_counts(
    turn: RoutedTurn, fleet: list[ReplicaView], held: int
) -> None:
    found = route(turn, fleet)
    assume(found is not None)
    assert found is not None
    better = []
    for one in fleet:
        if one.name == found.replica:
            one = dataclasses.replace(one, free_bytes=one.free_bytes + 1, load_free_bytes=one.load_free_bytes + 1)
            if MODEL in one.models:
                one = with_model(one, prefixes=frozenset(one.models[MODEL].prefixes) | set(CHAIN[:held]))
        better.append(one)
    again = route(turn, better)
    assert again is not None
    assert again.replica == found.replica


@given(st.integers(HIT_TOKENS_MIN // BLOCK_TOKENS, len(CHAIN)), st.integers(0, 3))
def test_the_longest_prefix_wins_where_all_are_equally_busy(held: int, busy: int) -> None:
    turn = RoutedTurn(model=MODEL, tokens=len(CHAIN) * BLOCK_TOKENS + 1, blocks=CHAIN, token_bytes=1)
    others = [with_model(idle(f"other {n}"), busy=busy, prefixes=frozenset(CHAIN[: held - 1])) for n in range(3)]
    holder = with_model(idle("holder"), busy=busy, prefixes=frozenset(CHAIN[:held]))
    found = route(turn, [*others, holder])
    assert found == ("holder", held * BLOCK_TOKENS)


def test_a_prefix_is_left_where_its_replica_is_short_or_full() -> None:
    turn = RoutedTurn(model=MODEL, tokens=len(CHAIN) * BLOCK_TOKENS + 1, blocks=CHAIN, token_bytes=1)
    holder = with_model(idle("holder"), prefixes=frozenset(CHAIN))
    other = with_model(idle("other"), busy=2)

    def chosen(one: ReplicaView) -> str:
        found = route(turn, [one, other])
        assert found is not None
        return found.replica

    assert chosen(holder) == "holder"
    assert chosen(with_model(holder, busy=3)) == "holder"
    assert chosen(with_model(holder, busy=4)) == "other"
    assert chosen(dataclasses.replace(holder, free_bytes=GROWTH_TOKENS)) == "other"
    assert chosen(dataclasses.replace(holder, is_draining=True)) == "other"


def test_a_short_prefix_draws_nobody_to_a_busy_replica() -> None:
    turn = RoutedTurn(model=MODEL, tokens=640, blocks=CHAIN[:20], token_bytes=1)
    holder = with_model(idle("holder"), prefixes=frozenset(CHAIN[:3]), busy=1)
    found = route(turn, [holder, idle()])
    assert found is not None
    assert found.replica == "idle"


def test_new_conversations_go_where_nothing_must_be_forgotten() -> None:
    turn = RoutedTurn(model=MODEL, tokens=100, blocks=CHAIN[:3], token_bytes=1)
    found = route(turn, [with_model(idle("a"), kept_tokens=500), idle("b")])
    assert found is not None
    assert found.replica == "b"


@given(fleets())
def test_a_model_is_spread_only_to_who_has_room_and_is_open(fleet: list[ReplicaView]) -> None:
    name = spread(MODEL, 1000, fleet)
    holders = [one.models[MODEL] for one in fleet if MODEL in one.models and not one.is_draining]
    if name is not None:
        (chosen,) = [one for one in fleet if one.name == name]
        assert MODEL not in chosen.models
        assert not chosen.is_draining
        assert chosen.load_free_bytes >= 1000
        assert holders
        assert all(2 * one.busy >= one.slots or one.kept_tokens for one in holders)


def test_a_model_is_spread_before_all_slots_are_taken() -> None:
    empty = idle("empty", models={})
    assert spread(MODEL, 1000, [with_model(idle("holder"), busy=1), empty]) is None
    assert spread(MODEL, 1000, [with_model(idle("holder"), busy=2), empty]) == "empty"
    assert spread(MODEL, 1000, [with_model(idle("holder"), slots=1, busy=1), empty]) is None
    assert spread(MODEL, 1000, [with_model(idle("holder"), slots=1, busy=2), empty]) == "empty"
    assert spread(MODEL, 1000, [with_model(idle("holder"), kept_tokens=9), empty]) == "empty"
    assert spread(MODEL, 1000, [with_model(idle("holder"), busy=2), idle("other"), empty]) is None
    assert spread(MODEL, 1000, [empty]) is None


@given(st.integers(0, len(CHAIN)), st.integers(0, len(CHAIN)))
def test_hits_are_counted_in_whole_blocks_from_the_beginning(asked: int, held: int) -> None:
    assert hit_tokens(CHAIN[:asked], frozenset(CHAIN[:held])) == min(asked, held) * BLOCK_TOKENS
