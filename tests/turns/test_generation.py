"""What a runner is told about one generation, and what is made of what it says."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.options import Options
from swell.protocol.messages import Emitted, Finished, FinishReason, Prefilled, TokenLikelihood
from swell.supervisor.stream import Event
from swell.text.parsing.parser import Plain
from swell.text.parsing.parts import Text
from swell.turns.generation import Generation, GenerationParams


def _generation(options: Options) -> Generation:
    return Generation([1, 2], options, GenerationParams(), window_tokens=9, parser=Plain())


def _read(generation: Generation, pieces: list[bytes]) -> str:
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
    assert _read(generation, [data[start:end] for start, end in itertools.pairwise(borders)]) == text
    assert not generation.is_stopped


def test_half_a_character_at_the_end_is_dropped() -> None:
    assert _read(_generation(Options()), [b"ok \xf0\x9f"]) == "ok "


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
        assert (generation.stop, generation.outcome().reason) == ("two", FinishReason.STOP)
        assert generation.tokens == [0, 1, 2]
        assert generation.shown_tokens == [0]
        assert generation.cached_tokens == 1


def _said(pieces: Sequence[str], *last: Event) -> list[Event]:
    """What a runner says that generates `pieces`."""
    return [Prefilled(1, 2, 0, 5), *(Emitted(1, index, piece.encode()) for index, piece in enumerate(pieces)), *last]


@pytest.mark.parametrize(("reason", "counted"), [(FinishReason.STOP, 3), (FinishReason.LENGTH, 2)])
@pytest.mark.parametrize("runners", [1, 2])
def test_the_token_that_ends_a_text_counts(reason: FinishReason, counted: int, runners: int) -> None:
    generation = _generation(Options())
    for _ in range(runners):
        generation.order()
    generation.feed(_said("ab", Finished(1, reason, 6)))
    done = generation.outcome()
    assert (done.generated_tokens, done.reason, len(generation.tokens)) == (counted, reason, 2)


@pytest.mark.parametrize("together", [True, False])
def test_a_stop_string_ends_the_count_whatever_comes_after_it(together: bool) -> None:
    generation = Generation(
        [1, 2], Options(stop=("-",)), GenerationParams(top_logprobs=0), window_tokens=9, parser=Plain()
    )
    likely = TokenLikelihood(1, -0.5, [])
    events = _said(["a", "-"], likely, Emitted(1, 5, b"b"), likely, Finished(1, FinishReason.STOP, 6))
    fed = [generation.feed(some) for some in ([events] if together else [[event] for event in events[:4]])]
    parts = [part for parts in fed for part in parts if isinstance(part, Text)]

    assert [one.data for one in parts[-1].likelihoods] == [b"-"]
    assert "".join(part.text for part in parts) == "a"
    assert (generation.is_stopped, generation.is_over, generation.outcome().generated_tokens) == (True, True, 2)
    assert (generation.outcome().reason, list(generation.shown_tokens)) == (FinishReason.STOP, [0])
