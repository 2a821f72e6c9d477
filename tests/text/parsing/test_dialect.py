"""What is told from a template, and what follows from it."""

import pytest

from swell.sampling import ThinkingPreamble
from swell.text.parsing.dialect import ForcedCall, dialect_of
from swell.text.parsing.parser import Chain, Plain, with_likelihoods
from swell.text.parsing.parts import Likelihood, Text, Thought, ToolCall

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


@pytest.mark.parametrize(
    ("template", "calls_tools"),
    [
        ('{{ tools }} Call: {"name": NAME, "parameters": {}}', True),
        ('{{ tools }}{{ \'{"name": "\' + call.name + \'", "arguments": \' + call.arguments }}', True),
        ('{{ tools }}{{ "{\\"name\\": " + tool_call.name + ", \\"arguments\\": " }}', True),
        ('{{ tools }} Call: [{"tool_name": NAME, "parameters": {}}]', True),
        (
            "{{ tools }}{% for call in message.tool_calls %}{{ tool_call.function | tojson }} arguments{% endfor %}",
            True,
        ),
        ("{% for tool in tools %}{{ tool | tojson }}{% endfor %}", True),
        ("{{ tools }}{# calls are tool_call #}", True),
        ("{% if message.tool_calls %}{{ raise_exception('no') }}{% endif %}{{ tools }}", True),
        ("{{ tools }} To call a tool, write @NAME(VALUE, VALUE).", False),
        ("{{ tools }}<do>{{ tool_call.function.name }}</do>{{ tool_call.function.arguments }}", False),
        ('{{ tools }} Call: <do>{"name": NAME, "arguments": {}}</do>', False),
        ("{{ tools }} Invoke NAME with its parameters.", False),
        ("Call me {{ name }}.", False),
        ("{{ tools }} Call: <|tools_prefix|>", True),
    ],
)
def test_a_format_that_nobody_knows_is_not_advertised(template: str, calls_tools: bool) -> None:
    assert dialect_of(template).calls_tools == calls_tools


@pytest.mark.parametrize("shred", ["{#", "{% if ", "{% elif", "{%", ' "name', "tool_call ", "'["])
def test_a_template_of_shreds_takes_linear_time(shred: str) -> None:
    """Otherwise this would take longer than a test may: lists of models ask for every template."""
    long, short = (dialect_of(f"tools tool_call {shred * count}") for count in (2_000_000 // len(shred), 2))
    assert long.calls_tools == short.calls_tools


@pytest.mark.parametrize(
    ("template", "prompt", "opening", "closing", "answer"),
    [
        (
            "<|open|> <|close|> <|end_of_msg|>",
            "<|open|>think<|sep|>",
            "",
            "<|close|>think<|sep|><|open|>response<|sep|>",
            "<|open|>think<|sep|>\n\n<|close|>think<|sep|>\n\n<|open|>response<|sep|>Hi",
        ),
        (
            "<|think|> <|content|> <|begin|>",
            "<|begin|>assistant",
            "<|think|>",
            "<|end|><|begin|>assistant<|content|>",
            "<|begin|>assistant<|content|>Hi",
        ),
    ],
)
def test_what_frames_answers(template: str, prompt: str, opening: str, closing: str, answer: str) -> None:
    dialect = dialect_of(template)
    assert dialect.thinks
    assert dialect.preamble(prompt, thinking=True) == ThinkingPreamble(opening=opening, closings=[closing])
    assert dialect.preamble(prompt, thinking=False) is None
    assert dialect.continued(prompt, "Hi") == answer
    assert {"<|sep|>", "<|content|>"} & set(dialect.controls({}))


def test_an_answer_goes_on_from_what_the_prompt_has_begun() -> None:
    functionary = dialect_of(">>>all >>>${recipient}")
    assert functionary.continued("assistant>>>", "Hi") == "assistant>>>all\nHi"
    assert functionary.continued("assistant", "Hi") == "assistant>>>all\nHi"
    assert functionary.continued("assistant>>>all\n", "Hi") == "assistant>>>all\nHi"
    assert functionary.calls_tools


def test_preambles() -> None:
    qwen, harmony = dialect_of(QWEN), dialect_of(HARMONY)
    assert qwen.preamble("assistant:", thinking=True) == ThinkingPreamble(opening="<think>", closings=["</think>"])
    assert qwen.preamble("assistant:<think>\n", thinking=True) == ThinkingPreamble(opening="", closings=["</think>"])
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
