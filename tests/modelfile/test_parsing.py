import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import ModelfileError, ModelfileLineError
from swell.modelfile.instructions import INSTRUCTIONS, Modelfile
from swell.modelfile.parsing import parse_modelfile

UNKNOWN = (
    'command must be one of "from", "license", "template", "system", "adapter", "draft", "renderer", "parser", '
    '"parameter", "message", or "requires"'
)


def parsed(text: str) -> list[tuple[str, ...]]:
    """Name, key if there is one, and text of each instruction."""
    found = parse_modelfile(text.encode()).instructions
    return [(one.name, one.key, one.text) if one.key else (one.name, one.text) for one in found]


def test_every_instruction() -> None:
    text = """\
# a comment
FROM llama3.2
from ./mmproj.gguf
  ADAPTER ./lora.gguf
Draft ./draft.gguf
RENDERER  qwen3
PARSER\tqwen3
REQUIRES v0.14.0

PARAMETER num_ctx 4096
PARAMETER stop <|im_end|>
PARAMETER stop "a b "
TEMPLATE \"""{{ .System }}
{{ .Prompt }}\"""
SYSTEM You are   a "pirate".
LICENSE "MIT

# no comment
"
MESSAGE user Who are you?
MESSAGE assistant \"""Arr.
\"""
"""
    assert parsed(text) == [
        ("from", "llama3.2"),
        ("from", "./mmproj.gguf"),
        ("adapter", "./lora.gguf"),
        ("draft", "./draft.gguf"),
        ("renderer", "qwen3"),
        ("parser", "qwen3"),
        ("requires", "v0.14.0"),
        ("parameter", "num_ctx", "4096"),
        ("parameter", "stop", "<|im_end|>"),
        ("parameter", "stop", "a b "),
        ("template", "{{ .System }}\n{{ .Prompt }}"),
        ("system", 'You are   a "pirate".'),
        ("license", "MIT\n\n# no comment\n"),
        ("message", "user", "Who are you?"),
        ("message", "assistant", "Arr.\n"),
    ]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("plain", "plain"),
        ("  between blanks \t ", "between blanks"),
        ("# no comment", "# no comment"),
        ('""', ""),
        ('""""""', ""),
        ('" kept "', " kept "),
        ('""""quoted""""', '"quoted"'),
        ('"a" and "b"', 'a" and "b'),
        ('"""a """ b"""', 'a """ b'),
        ('"one\n two"  \t', "one\n two"),
        ('"one"\u200b', "one"),
        ('"in\u200bside"', "in\u200bside"),
        ("out\u200bside\x07", "outside"),
        ("'single'", "'single'"),
        ("no \\n escapes", "no \\n escapes"),
        ('unquoted "', 'unquoted "'),
        ('"\n"', "\n"),
        ('"""\n"""', "\n"),
        ('"one\r\ntwo"', "one\r\ntwo"),
    ],
)
def test_texts(written: str, text: str) -> None:
    assert parsed(f"FROM m\nSYSTEM {written}\nTEMPLATE x") == [("from", "m"), ("system", text), ("template", "x")]
    assert parsed(f"FROM m\nSYSTEM {written}") == [("from", "m"), ("system", text)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_encodings_and_line_ends(end: str, mark: bytes, encoding: str) -> None:
    lines = ["", "FROM llama3.2", "# ✓", "", "SYSTEM Grüße 👋", "PARAMETER top_k x"]
    with pytest.raises(ModelfileLineError) as caught:
        parse_modelfile(mark + end.join(lines).encode(encoding))
    assert caught.value.line == 6
    found = parse_modelfile(mark + end.join(lines[:-1]).encode(encoding))
    assert (found.text("from"), found.text("system")) == ("llama3.2", "Grüße 👋")


def test_what_is_no_utf8_is_replaced() -> None:
    assert parse_modelfile(b"FROM m\nSYSTEM \xff!").text("system") == "\ufffd!"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "no FROM line"),
        ("# FROM m", "no FROM line"),
        ("SYSTEM x", "no FROM line"),
        ("FROM m\n\nBAD x", f"(line 3): {UNKNOWN}"),
        ("FROM#m", f"(line 1): {UNKNOWN}"),
        ('FROM m\n"x"', f"(line 2): {UNKNOWN}"),
        ("FROM", "(line 1): unexpected EOF"),
        ('FROM ""', "(line 1): unexpected EOF"),
        ('FROM m\nSYSTEM """a\nb', "(line 2): unexpected EOF"),
        ('FROM m\nSYSTEM """a""\n', "(line 2): unexpected EOF"),
        ('FROM m\nSYSTEM """', "(line 2): unexpected EOF"),
        ('FROM m\nSYSTEM "', "(line 2): unexpected EOF"),
        ("FROM m\nPARAMETER stop", "(line 2): unexpected EOF"),
        ('FROM m\nSYSTEM "a\nb"\nPARAMETER seed', "(line 4): unexpected EOF"),
        ("FROM m\nPARAMETER tempo 1", "(line 2): unknown parameter 'tempo'"),
        ("FROM m\nPARAMETER num_ctx 1.5", "(line 2): invalid int value [1.5]"),
        ("FROM m\nPARAMETER top_p hot", "(line 2): invalid float value [hot]"),
        ("FROM m\nPARAMETER top_p 1_0", "(line 2): invalid float value [1_0]"),
        ("FROM m\nPARAMETER use_mmap maybe", "(line 2): invalid bool value [maybe]"),
        ("FROM m\nMESSAGE tool x", '(line 2): message role must be one of "system", "user", or "assistant"'),
        ("FROM m\nREQUIRES new", "(line 2): requires must be a valid semver (e.g. 0.14.0)"),
        ("FROM m\nREQUIRES 01.2.3", "(line 2): requires must be a valid semver (e.g. 0.14.0)"),
    ],
)
def test_what_is_refused_and_where(text: str, error: str) -> None:
    with pytest.raises(ModelfileError) as caught:
        parse_modelfile(text.encode())
    assert str(caught.value) == error


@pytest.mark.parametrize("version", ["1", "0.14", "0.14.0", "v1.2.3", "1.2.3-rc1", "1.2.3-rc.1+build.5"])
def test_versions(version: str) -> None:
    assert parse_modelfile(f"FROM m\nREQUIRES {version}".encode()).text("requires") == version


def test_what_a_modelfile_says_in_all() -> None:
    found = parse_modelfile(
        b"FROM a\nSYSTEM x\nSYSTEM y\nPARAMETER stop a\nPARAMETER stop b\nPARAMETER top_k 1\nPARAMETER top_k 2\n"
        b"PARAMETER mirostat 2\nPARAMETER low_vram true\nPARAMETER use_mmap F\nPARAMETER temperature 1\n"
        b"MESSAGE user hi\nMESSAGE assistant ho\nFROM b\nLICENSE l"
    )
    assert found.texts("from") == ("a", "b")
    assert (found.text("system"), found.text("template")) == ("y", "")
    assert found.parameters == {"stop": ["a", "b"], "top_k": 2, "use_mmap": False, "temperature": 1.0}
    assert found.deprecated == ("mirostat", "low_vram")
    assert found.messages == (("user", "hi"), ("assistant", "ho"))


WORDS = st.sampled_from(
    [*INSTRUCTIONS, "FROM", "SYSTEM", "PARAMETER", "stop", "user", '"', '"""', "#", " ", "\t", "\n", "\r", "\u200b"]
)


def read(data: bytes) -> Modelfile | ModelfileError:
    try:
        return parse_modelfile(data)
    except ModelfileError as error:
        return error


@given(st.lists(WORDS | st.text(max_size=3), max_size=30).map("".join))
def test_any_text_is_a_modelfile_or_is_refused(text: str) -> None:
    found = read(text.encode())
    if isinstance(found, Modelfile):
        assert all(not one.fault for one in found.instructions)
        assert found.parameters is not None


@given(st.binary(max_size=50))
def test_any_file_is_a_modelfile_or_is_refused(data: bytes) -> None:
    found = read(b"FROM " + data)
    assert not isinstance(found, Modelfile) or found.text("from")
