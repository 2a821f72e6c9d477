import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swell.errors import ModelfileError
from swell.modelfile.instructions import INSTRUCTIONS, Instruction
from swell.modelfile.parameters import DEPRECATED
from swell.modelfile.parsing import parse_modelfile
from swell.modelfile.quoting import can_be_quoted
from swell.modelfile.writing import parameter_instructions, write_modelfile

FROM = Instruction("from", "m")

PIECES = st.sampled_from(['"', '""', '"""', " ", "\t", "\n", "\r\n", "\r", "\u200b", "\xa0", "#", "FROM x", "\x00"])
TEXTS = st.lists(PIECES | st.text(max_size=4), max_size=8).map("".join)
SAYING_ANYTHING = st.builds(Instruction, st.sampled_from(["template", "system", "license"]), TEXTS)
MESSAGES = st.builds(Instruction, st.just("message"), TEXTS, key=st.sampled_from(["system", "user", "assistant"]))


def read_back(*instructions: Instruction) -> tuple[Instruction, ...]:
    return parse_modelfile(write_modelfile([FROM, *instructions], ["FROM y"]).encode()).instructions[1:]


@given(st.lists(SAYING_ANYTHING | MESSAGES, max_size=5))
def test_what_is_written_is_read_as_it_was(instructions: list[Instruction]) -> None:
    read = read_back(*instructions)
    assert len(read) == len(instructions)
    for before, after in zip(instructions, read, strict=True):
        if can_be_quoted(before.text):
            assert after == before
        else:
            assert (after.name, after.key) == (before.name, before.key)
            assert after.text == before.text.replace('"""', "'''")


@given(TEXTS)
@example('def f():\n    """Do it."""\n    return 1')
@example('"""\n')
@example('""\n"x"')
def test_only_lines_that_end_with_three_quotes_cant_be_written(text: str) -> None:
    """Whatever is said to be impossible is so, in each way to write it."""
    if not can_be_quoted(text):
        for way in (f'"{text}"', f'"""{text}"""', text):
            with suppress(ModelfileError):
                assert parse_modelfile(f"FROM m\nSYSTEM {way}".encode()).text("system") != text


def test_a_text_that_cant_be_written_says_so() -> None:
    text = write_modelfile([FROM, Instruction("system", 'def f():\n  """Do it."""\n  return 1')])
    assert text == (
        "\nFROM m\n# A Modelfile can't hold lines that end with \"\"\": here they are '''.\n"
        "SYSTEM \"def f():\n  '''Do it.'''\n  return 1\"\n"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "plain"),
        ('say "hi"', 'say "hi"'),
        ("two\nlines", '"two\nlines"'),
        (" ", '" "'),
        ('say "hi"\nto all', '"""say "hi"\nto all"""'),
        ('"x"', '""""x""""'),
        ("", '""'),
    ],
)
def test_quotes_are_there_only_if_they_must(text: str, written: str) -> None:
    assert write_modelfile([Instruction("system", text)]) == f"\nSYSTEM {written}\n"


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "num_ctx": st.integers(-(10**17), 10**17) | st.integers(0, 10**6).map(float),
        "seed": st.integers(-(10**17), 10**17),
        "temperature": st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 3),
        "use_mmap": st.booleans(),
        "stop": st.lists(TEXTS.filter(can_be_quoted), min_size=1, max_size=4),
    },
)


@given(OPTIONS)
def test_parameters_are_read_as_they_were(options: dict[str, Any]) -> None:
    text = write_modelfile([FROM, *parameter_instructions(options)])
    assert parse_modelfile(text.encode()).parameters == options


KEYS = st.sampled_from(["numa", "tfs_z", "top_k", "stop", "use_mmap", "x\nFROM y", "", *sorted(DEPRECATED)]) | st.text()
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.lists(TEXTS) | st.just({"a": [1]})


@given(st.dictionaries(KEYS, VALUES))
def test_parameters_that_make_no_sense_are_comments(options: dict[str, Any]) -> None:
    """The rest of the Modelfile can still be read, and nothing in them is taken for an instruction."""
    after = Instruction("system", "after")
    found = parse_modelfile(write_modelfile([FROM, *parameter_instructions(options), after]).encode())
    assert found.texts("from") == ("m",)
    assert found.text("system") == "after"
    assert set(found.parameters) <= set(options)


def test_an_unknown_parameter() -> None:
    assert write_modelfile(parameter_instructions({"numa": True, "top_k": math.inf, "stop": ["a", None]})) == (
        "\n# PARAMETER numa true\n# PARAMETER top_k inf\nPARAMETER stop a\n"
    )


def test_every_instruction_can_be_written() -> None:
    keys = {"parameter": "top_k", "message": "user"}
    instructions = tuple(Instruction(name, "1", keys.get(name, "")) for name in INSTRUCTIONS)
    assert read_back(*instructions) == instructions
