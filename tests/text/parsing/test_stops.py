"""Stop strings end the answer, wherever the text is cut, and nothing else."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.text.parsing.dialect import dialect_of
from swell.text.parsing.parser import Parser, Plain, merged
from swell.text.parsing.parts import Part, Text, Thought, ToolCall
from swell.text.parsing.stops import StopStrings

THINKING = "{{ enable_thinking }}<think></think>"
TOOLS = "{{ tools }}<tool_call></tool_call>"
_letters = st.text("ab<|>é", max_size=40)
_stops = st.lists(st.text("ab<|>é", min_size=1, max_size=4), min_size=1, max_size=3)
_cuts = st.lists(st.integers(0, 80))


def _fed(parser: Parser, stops: Sequence[str], pieces: Sequence[str]) -> tuple[list[Part], StopStrings]:
    stream = StopStrings(parser, stops)
    parts = [part for piece in pieces for part in stream.feed(piece)]
    return merged([*parts, *stream.finish()]), stream


def _shown(stops: Sequence[str], pieces: Sequence[str]) -> tuple[str, StopStrings]:
    parts, stream = _fed(Plain(), stops, pieces)
    return "".join(part.text for part in parts if isinstance(part, Text)), stream


def _cut_up(text: str, cuts: Sequence[int]) -> list[str]:
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(borders)]


@given(text=_letters, stops=_stops, cuts=_cuts)
def test_text_ends_before_the_first_stop_however_it_is_cut(text: str, stops: list[str], cuts: list[int]) -> None:
    shown, stream = _shown(stops, _cut_up(text, cuts))
    assert bool(stream.met) == any(stop in text for stop in stops)
    assert not any(stop in shown for stop in stops)
    if stream.met:
        assert stream.met in stops
        assert text.startswith(shown + stream.met)
        assert text.startswith(shown + stream.cut)
    else:
        assert (shown, stream.cut) == (text, "")


@given(text=_letters, stops=_stops)
def test_of_stops_that_begin_together_the_longest_ended_it(text: str, stops: list[str]) -> None:
    shown, stream = _shown(stops, [text])
    rest = text[len(shown) :]
    assert stream.met == max((stop for stop in stops if rest.startswith(stop)), key=len, default="")


def test_a_beginning_that_comes_to_nothing_is_shown() -> None:
    stream = StopStrings(Plain(), ["STOP"])
    assert [stream.feed(piece) for piece in ("a ST", "O", "RM")] == [[Text("a ")], [], [Text("STORM")]]


def test_nothing_follows_a_stop() -> None:
    stream = StopStrings(Plain(), ["\n\n", ""])
    assert [stream.feed(piece) for piece in ("one\n", "\ntwo", "three")] == [[Text("one")], [], []]
    assert (stream.finish(), stream.met, stream.cut) == ([], "\n\n", "\n\ntwo")


@pytest.mark.parametrize("size", [1, 2, 100])
def test_thoughts_may_hold_a_stop(size: int) -> None:
    output = "<think>\nLet us\nsee.\n</think>\n\nThe answer\nis 4."
    parser = dialect_of(THINKING).parser("prompt", {})
    parts, stream = _fed(parser, ["\n"], [output[at : at + size] for at in range(0, len(output), size)])
    assert parts == [Thought("Let us\nsee."), Text("The answer")]
    assert stream.met == "\n"


@pytest.mark.parametrize("size", [1, 3, 100])
def test_calls_may_hold_a_stop_and_come_after_what_was_held_back(size: int) -> None:
    output = 'I <tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>Done, I think.'
    parser = dialect_of(TOOLS).parser("prompt", {"f": {}})
    pieces = [output[at : at + size] for at in range(0, len(output), size)]
    parts, stream = _fed(parser, ["\n", "I think", "f"], pieces)
    assert parts == [Text("I"), ToolCall("f", {}), Text("Done, ")]
    assert stream.met == "I think"


def test_a_stop_in_what_is_no_call_after_all() -> None:
    parser = dialect_of(TOOLS).parser("prompt", {"f": {}})
    parts, stream = _fed(parser, ["STOP"], ["<tool_call>{", "a STOP b"])
    assert parts == [Text("<tool_call>{a ")]
    assert (stream.met, stream.cut) == ("STOP", "STOP b")


def test_a_parser_is_finished_once_and_what_it_held_is_cut() -> None:
    class Holding(Plain):
        finished = 0

        def finish(self) -> list[Part]:
            self.finished += 1
            return [Text(" STOP"), Text(" rest")]

    for pieces, shown, cut in (
        (["a STOP b"], "a ", "STOP b STOP rest"),
        (["a"], "a ", "STOP rest"),
    ):
        parser = Holding()
        parts, stream = _fed(parser, ["STOP"], pieces)
        assert (parts, stream.cut, parser.finished) == ([Text(shown)], cut, 1)
