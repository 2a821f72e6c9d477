import itertools

from hypothesis import given
from hypothesis import strategies as st

from swell.server.text import TextStream


def feed_all(pieces: list[bytes], stops: list[str]) -> tuple[str, bool]:
    stream = TextStream(stops)
    text = "".join([stream.feed(piece) for piece in pieces])
    return text + stream.finish(), stream.stopped


@given(text=st.text(), cuts=st.lists(st.integers(0, 400)))
def test_characters_cut_anywhere_come_out_whole(text: str, cuts: list[int]) -> None:
    assert feed_all(cut_up(text.encode(), cuts), []) == (text, False)


@given(
    text=st.text("ab<|>é", max_size=40),
    stops=st.lists(st.text("ab<|>é", min_size=1, max_size=4), min_size=1, max_size=3),
    cuts=st.lists(st.integers(0, 80)),
)
def test_text_ends_before_the_first_stop_however_it_is_cut(text: str, stops: list[str], cuts: list[int]) -> None:
    pieces = cut_up(text.encode(), cuts)
    shown, stopped = feed_all(pieces, stops)
    assert stopped == any(stop in text for stop in stops)
    assert text.startswith(shown)
    assert not any(stop in shown for stop in stops)
    if not stopped:
        assert shown == text


def test_a_beginning_that_comes_to_nothing_is_shown() -> None:
    stream = TextStream(["STOP"])
    assert [stream.feed(piece) for piece in (b"a ST", b"O", b"RM")] == ["a ", "", "STORM"]


def test_nothing_follows_a_stop() -> None:
    stream = TextStream(["\n\n"])
    assert [stream.feed(piece) for piece in (b"one\n", b"\ntwo", b"three")] == ["one", "", ""]
    assert stream.finish() == ""


def test_half_a_character_at_the_end_is_dropped() -> None:
    assert feed_all([b"ok \xf0\x9f"], []) == ("ok ", False)


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(borders)]
