"""Where endless repetition is noticed."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from swell.options import Options
from swell.protocol.messages import Emitted, Finished, FinishReason
from swell.supervisor.stream import Event
from swell.text.parsing.parser import Plain
from swell.text.parsing.parts import Part, Text
from swell.turns.generation import Generation, GenerationParams
from swell.turns.repetition import REPEATS_MAX, Repetition

_PIECES = st.sampled_from(["", " ", "\n", "\u00a0", "a", " a", "a\n", "b", "-", "0", "é", "漢", "😀", " 😀", "\ufffd"])
_RUNS = st.lists(st.tuples(_PIECES, st.integers(1, REPEATS_MAX + 5)), max_size=6)
_TEXTS = _RUNS.map(lambda runs: [piece for piece, count in runs for _ in range(count)])


def _kept(pieces: Sequence[str]) -> int | None:
    """How many pieces there are when more than 30 are equal; None if that never comes."""
    bare = [piece.strip() for piece in pieces]
    ends = range(REPEATS_MAX + 1, len(pieces) + 1)
    return next((end for end in ends if len(set(bare[end - REPEATS_MAX - 1 : end])) == 1), None)


@given(_TEXTS)
def test_more_than_thirty_equal_pieces_in_a_row_are_endless(pieces: list[str]) -> None:
    repetition = Repetition()
    found = []
    for piece in pieces:
        repetition.feed(piece.encode())
        found.append(repetition.is_endless)

    assert (found.index(True) + 1 if True in found else None) == _kept(pieces)


@given(_TEXTS, st.data())
def test_a_piece_in_several_tokens_is_one(pieces: list[str], data: st.DataObject) -> None:
    """As tokenizers cut them that know bytes but not every character."""
    whole, parts = Repetition(), Repetition()
    for piece in pieces:
        encoded, last_bytes = piece.encode(), len(piece[-1:].encode())
        cut = len(encoded) - data.draw(st.integers(1, max(last_bytes, 1)))  # only its last character is in two tokens
        whole.feed(encoded)
        for token in (encoded[:cut], encoded[cut:]) if len(encoded) - cut < last_bytes else (encoded,):
            parts.feed(token)
        assert parts.is_endless == whole.is_endless


def test_bytes_that_never_are_a_character_repeat_too() -> None:
    repetition = Repetition()
    for _ in range(REPEATS_MAX + 2):
        repetition.feed(b"\xf0")
    assert repetition.is_endless


@given(_TEXTS, st.lists(st.integers(1, 50)), st.booleans())
def test_the_text_ends_there_however_the_tokens_come(pieces: list[str], sizes: list[int], is_guarded: bool) -> None:
    repetition = Repetition() if is_guarded else None
    generation = Generation([1], Options(), GenerationParams(), window_tokens=9, parser=Plain(), repetition=repetition)
    events: list[Event] = [Emitted(1, index, piece.encode()) for index, piece in enumerate(pieces)]
    events.append(Finished(1, FinishReason.STOP, 5))
    parts: list[Part] = []
    while events and not generation.is_stopped:
        size = sizes.pop() if sizes else len(events)
        parts += generation.feed(events[:size])
        del events[:size]

    kept = _kept(pieces) if is_guarded else None
    texts = [part.text for part in (*parts, *generation.rest()) if isinstance(part, Text)]
    assert "".join(texts) == "".join(pieces[:kept])
    assert generation.is_over
    assert generation.is_stopped == (kept is not None)
    done = generation.outcome()
    expected = (FinishReason.STOP, len(pieces) + 1) if kept is None else (FinishReason.LENGTH, kept)
    assert (done.reason, done.generated_tokens) == expected


def test_a_stop_string_that_is_met_with_the_last_piece_goes_first() -> None:
    options = Options(stop=("-" * 31,))
    generation = Generation([1], options, GenerationParams(), window_tokens=9, parser=Plain(), repetition=Repetition())
    generation.feed([Emitted(1, 2, b"-")] * 31)
    assert (generation.outcome().reason, generation.rest()) == (FinishReason.STOP, [])
