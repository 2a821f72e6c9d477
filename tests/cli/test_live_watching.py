import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cli.watched import AT_S, grown, happenings, model, reading, watching

from swell.cli.live.keys import Key, pressed
from swell.cli.live.lines import json_lines, plain_lines
from swell.cli.live.polling import Poll, ServerRow, differences, rated
from swell.cli.live.readings import FeedMessage, FirstReading, Gone, Happening, SlotReading
from swell.cli.live.watching import HAPPENINGS_KEPT, Order, Watching
from swell.cli.live.wording import wording


def test_only_models_with_the_prefix_are_shown() -> None:
    known = watching(model("Smol:1"), model("other"), prefix="smo").told(grown("other")).told(grown("smol:2"))
    assert [one.model for one in known.models] == ["Smol:1"]
    assert [one.model for one in known.happened] == ["smol:2"]


def test_models_are_sorted_and_the_choice_stays() -> None:
    known = watching(model("a", slots_busy=0), model("b", resident_bytes=10**12), model("c", granted_tokens=5000))
    known = known.choosing(1)
    orders = []
    for _ in Order:
        orders.append((known.order, [one.model for one in known.models], known.models[known.chosen_index].model))
        known = known.sorted_otherwise()
    assert orders == [
        (Order.NAME, ["a", "b", "c"], "b"),
        (Order.MEMORY, ["b", "a", "c"], "b"),
        (Order.SPEED, ["a", "b", "c"], "b"),
        (Order.WINDOW, ["c", "a", "b"], "b"),
    ]
    assert known.choosing(-2).chosen == "c"
    assert Watching().choosing(1) == Watching()


def test_speed_is_that_of_some_seconds() -> None:
    known = watching(model(generated_tokens=10, prompt_tokens=100, cached_tokens=0))
    for second in range(1, 6):
        now = model(generated_tokens=10 + 6 * second, prompt_tokens=100 + 256 * (second // 2), cached_tokens=0)
        known = known.told(reading(now, at_s=AT_S + second))
    read_per_s, written_per_s = known.speed(known.models[0])
    assert written_per_s == pytest.approx(6)
    assert read_per_s == pytest.approx(256 / 3)
    assert known.speed(model(slots_busy=0)) == (0, 0)


def test_no_more_is_kept_than_is_shown() -> None:
    known = watching()
    for second in range(1000):
        known = known.told(grown(at_s=second)).told(reading(model(), at_s=AT_S + second))
    assert len(known.happened) == HAPPENINGS_KEPT
    assert 300 <= len(known.past) <= 302
    assert len(known.recent) <= 5


def test_a_server_that_comes_back_without_memories_takes_none_away() -> None:
    known = watching().told(grown()).told(Gone("x")).told(FirstReading(reading(model())))
    assert (len(known.happened), known.gone) == (1, "")


@given(happenings)
def test_what_happened_is_worded(happening: Happening) -> None:
    assert bool(wording(happening)) == (happening.event not in ("request_finished", "unheard_of"))


@pytest.mark.parametrize(("stall_s", "words"), [(0.0124, " in 12 ms"), (0.0001, ""), (2.5, " in 2500 ms")])
def test_a_growth_that_somebody_may_notice_says_how_long_it_took(stall_s: float, words: str) -> None:
    told = wording(msgspec.structs.replace(grown(), stall_s=stall_s))
    assert told == f"slot 0 grew from 512 to 1024 tokens{words}"


def test_keys() -> None:
    assert pressed(b"\x1b[A\x1bOBjs\x1b[1;5Cx\tq") == [Key.UP, Key.DOWN, Key.DOWN, Key.SORT, Key.DOWN, Key.QUIT]


@given(st.binary(max_size=50))
def test_no_keys_are_too_strange(data: bytes) -> None:
    assert len(pressed(data)) <= len(data)


def test_polls_tell_what_must_have_happened() -> None:
    before = Poll(reading(model("kept"), model("gone")), ServerRow({"a": 1}, {}))
    slots = (SlotReading("idle", 0, 512), SlotReading("generate", 0, 2048))
    now = Poll(
        reading(model("kept", slots_detail=slots, generated_tokens=32), model("new"), at_s=AT_S + 2),
        ServerRow({"a": 2}, {"idle": 1}),
    )
    found = [(one.event, one.model, one.slot, one.to_tokens) for one in differences(before, now)]
    assert found == [
        ("window_shrunk", "kept", 0, 512),
        ("window_grown", "kept", 1, 2048),
        ("load_ended", "new", 0, 0),
        ("model_unloaded", "gone", 0, 0),
        ("memory_reclaimed", "", 0, 0),
        ("recovery_started", "", 0, 0),
    ]
    kept = rated(now, before).reading.models[0]
    assert (kept.generated_per_s, kept.read_per_s) == (10, 0)


def test_lines_say_only_what_is_news() -> None:
    known, plain, objects = Watching("s"), list[str](), list[str]()
    told: tuple[FeedMessage, ...] = (
        FirstReading(reading(model(), model("other"))),
        reading(model(), at_s=AT_S + 1),
        grown(),
        grown("other"),
        Gone("it fell"),
        Gone("it fell"),
    )
    for message in told:
        before, known = known, known.told(message)
        plain += plain_lines(before, known, message)
        objects += json_lines(before, known, message)
    assert [line[9:] for line in plain[:2]] == [
        "smol:135m: window 812/1024/8192 tokens, 345 MB, writes 17.3/s, 1/2 threads",
        "smol:135m: slot 0 grew from 512 to 1024 tokens",
    ]
    assert plain[2:] == ["no server, trying again: it fell"]
    first, second, third = map(json.loads, objects)
    assert (first["model"], first["granted_tokens"], first["at_s"]) == ("smol:135m", 1024, AT_S)
    assert (second["event"], second["to_tokens"]) == ("window_grown", 1024)
    assert third == {"event": "server_gone", "error": "it fell"}
