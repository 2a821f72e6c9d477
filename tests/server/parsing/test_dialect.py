"""What is told from a template, and what follows from it."""

import pytest

from swell.sampling import Preamble
from swell.server.parsing.dialect import ForcedCall, dialect_of
from swell.server.parsing.parser import Chain, Plain, with_likelihoods
from swell.server.parsing.parts import Likelihood, Text, Thought, ToolCall

QWEN = "<think></think>{{ tools }}<tool_call></tool_call>"
HARMONY = "<|start|><|channel|>"


@pytest.mark.parametrize(
    ("template", "thinks", "calls_tools"),
    [
        ("", False, False),
        ("{{ messages }}", False, False),
        ("{{ tools }}", False, True),
        (QWEN, True, True),
        (HARMONY, True, True),
        ("{{ x.split('</think>')[-1] }}", True, False),
        ("<think>", False, False),
        ("[TOOL_CALLS]", False, True),
    ],
)
def test_abilities(template: str, thinks: bool, calls_tools: bool) -> None:
    dialect = dialect_of(template)
    assert (dialect.thinks, dialect.calls_tools) == (thinks, calls_tools)


def test_preambles() -> None:
    qwen, harmony = dialect_of(QWEN), dialect_of(HARMONY)
    assert qwen.preamble("assistant:", thinking=True) == Preamble(opening="<think>", closings=["</think>"])
    assert qwen.preamble("assistant:<think>\n", thinking=True) == Preamble(opening="", closings=["</think>"])
    assert qwen.preamble("assistant:", thinking=False) is None
    assert dialect_of("").preamble("assistant:", thinking=True) is None
    for thinking in (True, False):  # it can't be prevented
        preamble = harmony.preamble("<|start|>assistant", thinking=thinking)
        assert preamble is not None
        assert preamble.opening == ""
        assert "<|channel|>final<|message|>" in preamble.closings


def test_thinking_is_closed_where_it_is_not_wanted() -> None:
    qwen = dialect_of(QWEN)
    assert qwen.without_thinking("a<think>\n") == "a<think>\n\n</think>\n\n"
    assert qwen.without_thinking("a") == "a"
    assert dialect_of("").without_thinking("a<think>\n") == "a<think>\n"


def test_only_needed_control_tokens_are_shown() -> None:
    qwen = dialect_of(QWEN)
    assert qwen.controls({}) == ["<think>", "</think>"]
    assert "<tool_call>" in qwen.controls({"f": {}})
    assert dialect_of("").controls({"f": {}}) == []
    assert "<|channel|>" in dialect_of(HARMONY).controls({})


def test_a_forced_call() -> None:
    def parse(*pieces: str) -> list[object]:
        parser = Chain(dialect_of(QWEN).parser("", {}), ForcedCall({}))
        return [*(part for piece in pieces for part in parser.feed(piece)), *parser.finish()]

    document = '{"name": "f", "arguments": {"a": 1}}'
    assert parse(document[:9], document[9:]) == [ToolCall("f", {"a": 1})]
    assert parse("<think>Hm</think>", document) == [Thought("Hm"), ToolCall("f", {"a": 1})]
    assert parse(document[:-1]) == [Text(document[:-1])]
    assert parse() == []


def test_likelihoods_stay_with_the_text() -> None:
    some = (Likelihood(b"a", -0.5, ()),)
    call = ToolCall("f", {})
    assert with_likelihoods([Text("a")], ()) == [Text("a")]
    assert with_likelihoods([], some) == [Text("", some)]
    assert with_likelihoods([call, Thought("a"), Text("b")], some) == [call, Thought("a", some), Text("b")]
    assert with_likelihoods([call], some) == [Text("", some), call]
    assert Plain().feed("") == []
