"""What a runner is told about one generation, and what is made of what it says."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.protocol.messages import Emitted, Finished, FinishReason, Prefilled
from swell.server.generation import Generation, Wish
from swell.server.options import Options
from swell.server.parsing.parser import Plain
from swell.server.parsing.parts import Text
from swell.server.stream import Event


def _generation(options: Options) -> Generation:
    return Generation([1, 2], options, Wish(), window_tokens=9, parser=Plain())


def _said(generation: Generation, pieces: list[bytes]) -> str:
    events = [Emitted(1, number, piece) for number, piece in enumerate(pieces)]
    parts = [part for event in events for part in generation.feed([event])]
    return "".join(part.text for part in [*parts, *generation.rest()] if isinstance(part, Text))


@pytest.mark.parametrize(("num_batch", "told"), [(None, None), (7, 7), (0, None), (-3, None)])
def test_num_batch_is_the_requests_own(num_batch: int | None, told: int | None) -> None:
    assert _generation(Options(num_batch=num_batch)).order().batch_tokens == told


@given(text=st.text(), cuts=st.lists(st.integers(0, 400)))
def test_characters_cut_anywhere_come_out_whole(text: str, cuts: list[int]) -> None:
    data = text.encode()
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    generation = _generation(Options())
    assert _said(generation, [data[start:end] for start, end in itertools.pairwise(borders)]) == text
    assert not generation.is_stopped


def test_half_a_character_at_the_end_is_dropped() -> None:
    assert _said(_generation(Options()), [b"ok \xf0\x9f"]) == "ok "


def test_a_stop_string_ends_it_whatever_came_with_that() -> None:
    """And its own tokens, and all after it, are no part of the conversation."""
    pieces = [b"one", b" t", b"wo\n", b"\xc3"]
    for together in (1, 2, 5):
        generation = _generation(Options(stop=("two", "x")))
        events: list[Event] = [
            Prefilled(1, 2, 1, 5),
            *(Emitted(1, number, piece) for number, piece in enumerate(pieces)),
        ]
        fed = [generation.feed(events[at : at + together]) for at in range(0, len(events), together)]
        assert [part for parts in fed for part in parts] == [Text("one"), Text(" ")]
        assert generation.feed([Finished(1, FinishReason.LENGTH, 6)]) == []
        assert (generation.stop, generation.done().reason) == ("two", FinishReason.STOP)
        assert generation.tokens == [0, 1, 2]
        assert generation.shown_tokens == [0]
        assert generation.cached_tokens == 1
