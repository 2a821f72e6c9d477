"""Vocabularies that llama.cpp can't bear are found, and no others are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.models.vocabulary import vocabulary_problem


@given(st.lists(st.binary(max_size=3), unique=True), st.sampled_from(["llama", "gpt2", None, 3]))
def test_different_tokens_are_all_right(tokens: list[bytes], model: object) -> None:
    assert vocabulary_problem(model, tokens) is None


@given(st.lists(st.binary(min_size=1, max_size=3), min_size=1), st.data())
def test_a_token_that_is_there_twice(tokens: list[bytes], data: st.DataObject) -> None:
    again = data.draw(st.sampled_from(tokens))
    tokens.insert(data.draw(st.integers(0, len(tokens))), again)

    assert "twice" in (vocabulary_problem("llama", tokens) or "")


def test_empty_tokens_have_numbers() -> None:
    """llama.cpp calls them by these; a token with such a text collides with one."""
    assert vocabulary_problem("llama", [b"", b"", b""]) is None
    assert vocabulary_problem("llama", [b"[EMPTY_1]", b""]) == "tokenizer.ggml.tokens holds '[EMPTY_1]' twice"


@given(st.binary(max_size=20))
def test_a_vocabulary_of_rwkv_with_all_bytes(more: bytes) -> None:
    escaped = "".join(rf"\x{byte:02x}" for byte in more).encode()
    tokens = {rf"\x{byte:02x}".encode() for byte in range(256)} | {escaped} - {b""}

    assert vocabulary_problem("rwkv", tokens) is None


@pytest.mark.parametrize(
    ("tokens", "byte"),
    [([b"ab"], "b'a'"), ([b"a", rb"\nb"], r"b'\n'"), ([rb"\xffa", rb"\xfe"], r"b'\xff'"), ([rb"\\\\", b"a"], r"b'\\'")],
)
def test_a_vocabulary_of_rwkv_in_which_llama_would_never_get_on(tokens: list[bytes], byte: str) -> None:
    assert vocabulary_problem("rwkv", tokens) == (
        f"tokenizer.ggml.tokens holds tokens that begin with {byte}, but not that byte"
    )
