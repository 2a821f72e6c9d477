"""The embedder, stepped by hand, without a process around it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.governing import fixed
from tests.models.encoder import ENCODER_TOKENS, write_bert

from swell.errors import InputTooLongError, InvalidRequestError, UnsupportedError, from_data
from swell.llama import logs
from swell.llama.model import Model
from swell.protocol.messages import Cancel, Embed, Embedded, Failed, Generate, Reply, SlotState
from swell.runner.embedder import BATCH_TOKENS, Embedder, batches
from swell.sampling import Sampling

TEXT = [5, 6, 7]


@pytest.fixture
def replies() -> list[Reply]:
    return []


@pytest.fixture
def embedder(tmp_path: Path, replies: list[Reply]) -> Iterator[Embedder]:
    logs.route()
    write_bert(tmp_path / "bert.gguf")
    with Model(tmp_path / "bert.gguf") as model:
        embedder = Embedder(model, fixed(2), replies.append)
        yield embedder
        embedder.close()


def test_requests_are_answered_in_their_order(embedder: Embedder, replies: list[Reply]) -> None:
    embedder.submit(Embed(1, [TEXT]))
    embedder.submit(Embed(2, [TEXT, [9]], cut_tokens=3))
    embedder.step()
    embedder.step()
    first, second = replies
    assert isinstance(first, Embedded)
    assert isinstance(second, Embedded)
    assert (first.id, second.id) == (1, 2)
    assert (len(first.vectors), len(second.vectors)) == (1, 2)
    assert embedder.stats(0).totals.cut == 3


def test_a_cancelled_request_is_not_computed(embedder: Embedder, replies: list[Reply]) -> None:
    for work in (Embed(1, [TEXT]), Embed(2, [TEXT]), Cancel(2), Embed(3, [TEXT])):
        embedder.submit(work)
    embedder.step()
    embedder.step()
    assert [reply.id for reply in replies if isinstance(reply, Embedded)] == [1, 3]


def test_a_request_is_cancelled_between_two_batches(embedder: Embedder, replies: list[Reply]) -> None:
    embedder.submit(Embed(1, [[5] * BATCH_TOKENS] * 3))
    embedder._take_work(wait=True)
    embedder.submit(Cancel(1))
    embedder._serve(embedder._waiting.popleft())
    assert replies == []


def test_a_text_longer_than_a_batch(embedder: Embedder, replies: list[Reply]) -> None:
    embedder.submit(Embed(1, [TEXT, [5] * ENCODER_TOKENS, TEXT]))
    embedder.step()
    (reply,) = replies
    assert isinstance(reply, Embedded)
    assert len(reply.vectors) == 3
    assert reply.vectors[0] == reply.vectors[2]


@pytest.mark.parametrize(
    ("inputs", "error"),
    [([TEXT, []], InvalidRequestError), ([TEXT, [5] * (ENCODER_TOKENS + 1)], InputTooLongError)],
)
def test_what_llama_cpp_would_not_survive(
    embedder: Embedder, replies: list[Reply], inputs: list[list[int]], error: type[Exception]
) -> None:
    embedder.submit(Embed(1, inputs))
    embedder.step()
    assert _error(replies) is error


def test_it_does_not_generate(embedder: Embedder, replies: list[Reply]) -> None:
    sampling = Sampling(seed=0, temperature=0)
    embedder.submit(Generate(id=1, prompt=TEXT, window_tokens=9, limit_tokens=9, sampling=sampling))
    assert _error(replies) is UnsupportedError


def test_facts_and_stats(embedder: Embedder) -> None:
    facts, stats = embedder.describe(), embedder.stats(7)
    assert (facts.context_max, facts.slots, facts.store) == (ENCODER_TOKENS, 1, None)
    assert (stats.id, stats.context_max, stats.context_allocated, stats.kv_reserved_bytes) == (7, ENCODER_TOKENS, 0, 0)
    assert [slot.state for slot in stats.slots_detail] == [SlotState.IDLE]


def test_texts_share_batches() -> None:
    assert list(batches([[1] * 3, [2] * 3, [3] * 9, [4]], 6)) == [[[1] * 3, [2] * 3], [[3] * 9], [[4]]]
    assert [len(group) for group in batches([[1]] * 70, 512)] == [32, 32, 6]
    assert list(batches([], 6)) == []


def _error(replies: list[Reply]) -> type[Exception]:
    (reply,) = replies
    assert isinstance(reply, Failed)
    return type(from_data(reply.kind, reply.fields))
