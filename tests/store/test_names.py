"""Model names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swell.errors import InvalidRequestError
from swell.store.names import parse_name, parse_remote_name


@pytest.mark.parametrize(
    ("text", "short", "full"),
    [
        ("llama3.2", "llama3.2:latest", "registry.ollama.ai/library/llama3.2:latest"),
        ("llama3.2:1b", "llama3.2:1b", "registry.ollama.ai/library/llama3.2:1b"),
        ("user/foo", "user/foo:latest", "registry.ollama.ai/user/foo:latest"),
        ("hf.co/u/repo:Q4_K_M", "hf.co/u/repo:Q4_K_M", "hf.co/u/repo:Q4_K_M"),
        ("localhost:5000/u/m", "localhost:5000/u/m:latest", "localhost:5000/u/m:latest"),
        ("https://registry.ollama.ai/library/a:b", "a:b", "registry.ollama.ai/library/a:b"),
        ("a:local", "a:latest", "registry.ollama.ai/library/a:latest"),
        ("_x", "_x:latest", "registry.ollama.ai/library/_x:latest"),
    ],
)
def test_parts_are_filled_in(text: str, short: str, full: str) -> None:
    assert (parse_name(text).short, parse_name(text).full) == (short, full)


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", ":b", "/a", "a/", "a//b", "h/n/m/x", "-a", ".a", "a b", "a:b:c", "n.s/m", "ü", "a" * 81, "a\n",
     "../a"],
)  # fmt: skip
def test_malformed_names(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^invalid model name$"):
        parse_name(text)


def test_names_compare_without_case() -> None:
    assert parse_name("LLaMA:Latest").key == parse_name("llama").key
    assert parse_name("LLaMA").short == "LLaMA:latest"


@given(st.text(alphabet="aA0_-.:/\n é", max_size=20))
def test_a_short_name_means_the_same(text: str) -> None:
    try:
        name = parse_name(text)
    except InvalidRequestError:
        return
    assert parse_name(name.short).key == name.key
    assert parse_name(name.full).key == name.key


@pytest.mark.parametrize(
    ("text", "scheme"),
    [("a", "https"), ("https://h/n/m", "https"), ("http://h/n/m:t", "http"), ("HTTP://h:5000/n/m", "http")],
)
def test_a_name_may_say_how_its_registry_is_spoken_to(text: str, scheme: str) -> None:
    assert parse_remote_name(text) == (scheme, parse_name(text))


@pytest.mark.parametrize("text", ["ftp://h/n/m", "://h/n/m", "https://", "http:///m", "a b://h/n/m"])
def test_other_schemes_are_none(text: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^invalid model name$"):
        parse_remote_name(text)
