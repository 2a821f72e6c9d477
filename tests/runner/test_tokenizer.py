"""Texts become tokens in pieces, and nobody should see it."""

import random
import re
import threading
from collections.abc import Callable, Iterator

import pytest

from swell.errors import TokenizeError
from swell.llama.model import LlamaModel, Vocabulary
from swell.protocol.messages import Failed, Reply, Tokenize, Tokenized
from swell.runner import tokenizer as module
from swell.runner.tokenizer import AT_ONCE_MAX, PIECE_MIN, SPECIALS_MAX, WHOLE_MIN, Tokenizer, pattern

LIMIT_S = 60


class Inbox:
    """Replies, by their numbers."""

    def __init__(self) -> None:
        self._replies: dict[int, Reply] = {}
        self._changed = threading.Condition()

    def deliver(self, reply: Reply) -> None:
        assert isinstance(reply, Tokenized | Failed)
        with self._changed:
            self._replies[reply.id] = reply
            self._changed.notify_all()

    def of(self, number: int) -> Reply:
        with self._changed:
            assert self._changed.wait_for(lambda: number in self._replies, LIMIT_S)
            return self._replies[number]

    def __contains__(self, number: int) -> bool:
        return number in self._replies


@pytest.fixture(scope="module")
def vocabulary(model: LlamaModel) -> Vocabulary:
    return model.vocabulary


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def tokenizer(vocabulary: Vocabulary, inbox: Inbox) -> Iterator[Tokenizer]:
    made = Tokenizer(vocabulary, inbox.deliver)
    yield made
    made.close()


def _ask(number: int, text: str, *, special: bool = True, limit: int | None = None) -> Tokenize:
    return Tokenize(id=number, text=text, add_special=special, parse_special=special, limit_tokens=limit)


def _tokens(
    tokenizer: Tokenizer, inbox: Inbox, text: str, *, special: bool = True, limit: int | None = None
) -> list[int]:
    tokenizer.submit(_ask(1, text, special=special, limit=limit))
    reply = inbox.of(1)
    assert isinstance(reply, Tokenized)
    return reply.tokens


def _chat(words: random.Random, letters: int) -> str:
    choices = ["<|im_start|>", "<|im_end|>", "user\n", "why?", " a", "  b", "é", "\n\n", "<", "|>", "12"]
    return "".join(words.choices(choices, k=letters))[:letters]


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("letters", [0, 10, AT_ONCE_MAX - 50, AT_ONCE_MAX + 50, PIECE_MIN - 50, 5 * PIECE_MIN])
def test_pieces_have_the_tokens_of_the_whole(
    tokenizer: Tokenizer, inbox: Inbox, vocabulary: Vocabulary, letters: int, special: bool
) -> None:
    text = _chat(random.Random(letters), letters)
    expected = vocabulary.tokenize(text, add_special=special, parse_special=special)
    assert _tokens(tokenizer, inbox, text, special=special) == expected


def test_many_special_tokens_take_linear_time(tokenizer: Tokenizer, inbox: Inbox, vocabulary: Vocabulary) -> None:
    """llama.cpp alone would take minutes: the time limit of the tests is the assertion."""
    (token,) = vocabulary.tokenize("<|im_start|>", add_special=False, parse_special=True)
    assert _tokens(tokenizer, inbox, "<|im_start|>" * 250_000) == [token] * 250_000


def test_of_an_endless_text_both_ends_are_enough(tokenizer: Tokenizer, inbox: Inbox, vocabulary: Vocabulary) -> None:
    text = "first words" + " more" * (2 * WHOLE_MIN // 5) + " and" * (2 * WHOLE_MIN // 4) + " last words"
    ends = _tokens(tokenizer, inbox, text, limit=100)
    whole = vocabulary.tokenize(text, add_special=True, parse_special=True)
    assert 100 < len(ends) < len(whole) / 2
    assert (ends[:100], ends[-100:]) == (whole[:100], whole[-100:])


def test_no_token_of_a_long_text_is_left_out(tokenizer: Tokenizer, inbox: Inbox, vocabulary: Vocabulary) -> None:
    text = " word" * (WHOLE_MIN // 5 + 10)
    expected = len(vocabulary.tokenize(text, add_special=True, parse_special=True))
    assert len(_tokens(tokenizer, inbox, text, limit=expected)) == expected
    assert len(_tokens(tokenizer, inbox, text)) == expected


def test_a_short_text_doesnt_wait_for_a_long_one(tokenizer: Tokenizer, inbox: Inbox) -> None:
    for number in range(1, 5):
        tokenizer.submit(_ask(number, "<|im_start|>" * 500_000))
    tokenizer.submit(_ask(9, "short"))
    assert 9 in inbox
    assert any(tokenizer.cancel(number) for number in range(1, 5))


def test_long_texts_take_turns(tokenizer: Tokenizer, inbox: Inbox) -> None:
    for number in range(1, 5):
        tokenizer.submit(_ask(number, "<|im_start|>" * 500_000))
    tokenizer.submit(_ask(9, " word" * (PIECE_MIN // 5)))
    inbox.of(9)
    assert any(tokenizer.cancel(number) for number in range(1, 5))


def test_a_cancelled_text_is_given_up(tokenizer: Tokenizer, inbox: Inbox) -> None:
    tokenizer.submit(_ask(1, "<|im_start|>" * 1_000_000))
    assert tokenizer.cancel(1)
    assert not tokenizer.cancel(1)
    tokenizer.submit(_ask(2, " word" * PIECE_MIN))
    inbox.of(2)
    assert 1 not in inbox


class Broken(Vocabulary):
    """Can't tokenise."""

    error: Exception = TokenizeError("no vocabulary")

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        raise self.error


@pytest.mark.parametrize("letters", [1, 2 * PIECE_MIN])
@pytest.mark.parametrize(
    ("error", "kind"), [(TokenizeError("x"), "TokenizeError"), (ValueError("y"), "UnexpectedError")]
)
def test_a_failure_is_said(model: LlamaModel, inbox: Inbox, letters: int, error: Exception, kind: str) -> None:
    broken = Broken(model)
    broken.error = error
    tokenizer = Tokenizer(broken, inbox.deliver)
    tokenizer.submit(_ask(1, "a" * letters))
    reply = inbox.of(1)
    tokenizer.close()
    assert isinstance(reply, Failed)
    assert reply.kind == kind


@pytest.mark.parametrize(
    ("texts", "text", "found"),
    [
        (["<a>", "<ab>", "<a", "b"], "<a><ab><a<ba b", ["<a>", "<ab>", "<a", "<", "b"]),
        (["  ", "    "], "     ", ["    "]),
        ([".*", "("], "a.*(", [".*", "("]),
        ([], "anything", []),
        (["a" * 200], "a" * 401, ["a" * 200] * 2),
    ],
)
def test_the_longest_of_many_texts_is_found(texts: list[str], text: str, found: list[str]) -> None:
    expected: Callable[[str], list[str]] = re.compile(
        "|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "(?!)"
    ).findall
    assert pattern(texts).findall(text) == expected(text)
    assert SPECIALS_MAX < module.PIECE_MIN


def test_a_token_of_any_length_may_be_in_a_vocabulary() -> None:
    assert pattern(["x" * 100_000, "y"]).findall("xy") == ["y"]
