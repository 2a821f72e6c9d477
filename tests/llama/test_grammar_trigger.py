"""Where a grammar begins, over the real vocabulary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.llama.grammar import GrammarCompiler
from swell.llama.grammar_trigger import GrammarTrigger
from swell.llama.model import LlamaModel
from swell.sampling import ThinkingPreamble

THINK = ThinkingPreamble(opening="<think>", closings=["</think>", "</thought>"])
OPENED = ThinkingPreamble(opening="", closings=["</think>"])


def follow(model: LlamaModel, preamble: ThinkingPreamble, tokens: list[int]) -> tuple[str, bool]:
    """What is written when a model wants to write `tokens` until the grammar takes over, and whether it did."""
    vocabulary = model.vocabulary
    trigger = GrammarTrigger(vocabulary, preamble, GrammarCompiler(vocabulary).spell)
    written = b""
    wanted = iter([*tokens, *[vocabulary.eos] * 40])
    for token in wanted:
        if trigger.is_passed:
            break
        taken = trigger.pass_on(token)
        if taken is None:
            return written.decode(), True
        assert not vocabulary.is_end(taken)
        written += vocabulary.written(taken)
    return written.decode(), trigger.is_passed


def tokens_of(model: LlamaModel, *texts: str) -> list[int]:
    """Each text is tokenised on its own, so that a text may be one token."""
    vocabulary = model.vocabulary
    return [token for text in texts for token in vocabulary.tokenize(text, add_special=False, parse_special=True)]


@pytest.mark.parametrize(
    ("preamble", "wanted", "written"),
    [
        (THINK, ["<think>", "\nHm.", "</think>", "\n{"], "<think>\nHm.</think>"),
        (THINK, [" \n", "<think>Hm</thought>", "{"], " \n<think>Hm</thought>"),
        (THINK, ["{", '"a"'], ""),
        (THINK, [], ""),
        (THINK, ["\n", "Hello"], "\n"),
        (THINK, ["\f", "{"], ""),
        (THINK, ["<", "html", ">"], "<think></think>"),
        (OPENED, ["Hm.", "</think>", "{"], "Hm.</think>"),
        (OPENED, ["Hm.", "</think", "></", "p>"], "Hm.</think>"),
        (OPENED, ["Hm."], "Hm.</think>"),
        (OPENED, [], "</think>"),
    ],
)
def test_preambles(model: LlamaModel, preamble: ThinkingPreamble, wanted: list[str], written: str) -> None:
    assert follow(model, preamble, tokens_of(model, *wanted)) == (written, True)


def test_a_token_may_run_over_the_end(model: LlamaModel) -> None:
    """Which the test of the closing tag above relies on."""
    assert len(tokens_of(model, "></")) == 1


@given(
    st.lists(
        st.sampled_from(["<", "think", ">", "</", "</think", "></", ">\n", " ", "<think>", "{", "é", "x"]), max_size=12
    )
)
def test_a_preamble_always_ends(model: LlamaModel, wanted: list[str]) -> None:
    """Whatever a model wants to write, only blank space or one closed pair of tags comes before the document."""
    written, is_passed = follow(model, THINK, tokens_of(model, *wanted))
    assert is_passed
    tokens = model.vocabulary.tokenize(written, add_special=False, parse_special=True)
    if written.strip():  # what another runner wrote is understood in the same way
        assert follow(model, THINK, [*tokens, *tokens_of(model, "{")]) == (written, True)
    thought = written.strip()
    if thought:
        assert thought.startswith("<think>")
        assert thought.endswith(("</think>", "</thought>"))
        assert thought.count("</think>") + thought.count("</thought>") == 1
