"""The embedder, stepped by hand, without a process around it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import gguf
import pytest
from tests.governing import fixed
from tests.runner.limited import FOREVER_S, LimitedAdmission
from tests.tiny.attention import write_llama
from tests.tiny.encoder import ENCODER_TOKENS, write_bert

from swell.cache import CacheType
from swell.errors import InputTooLongError, InvalidRequestError, KvGrowError, UnsupportedError, from_data
from swell.llama import logs
from swell.llama.embedding import EmbeddingContext
from swell.llama.model import LlamaModel
from swell.protocol.messages import (
    Cancel,
    Embed,
    Embedded,
    Failed,
    Generate,
    MemoryOffered,
    NeedMemory,
    Reply,
    SlotState,
    Stats,
)
from swell.runner.embedder import BATCH_TOKENS, Embedder, EmbedderMemory, batches
from swell.sampling import Sampling

TEXT = [5, 6, 7]
LONG = [5] * ENCODER_TOKENS


@pytest.fixture
def replies() -> list[Reply]:
    return []


@pytest.fixture
def admission() -> LimitedAdmission:
    return LimitedAdmission()


@pytest.fixture(params=[True, False], ids=["reserving", "allocating"])
def embedder(
    request: pytest.FixtureRequest, tmp_path: Path, admission: LimitedAdmission, replies: list[Reply]
) -> Iterator[Embedder]:
    logs.route()
    write_bert(tmp_path / "bert.gguf")
    with LlamaModel(tmp_path / "bert.gguf") as model:
        memory = EmbedderMemory(admission=admission, reserves=request.param, wait_s=FOREVER_S)
        embedder = Embedder(model, fixed(2), memory, replies.append)
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


def test_a_long_text_is_in_the_books_while_it_is_computed(
    embedder: Embedder, admission: LimitedAdmission, replies: list[Reply], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Stats] = []
    embed = EmbeddingContext.embed

    def watched(context: EmbeddingContext, texts: Sequence[Sequence[int]]) -> list[bytes]:
        vectors = embed(context, texts)
        found.append(embedder.stats(0))
        assert found[-1].kv_granted_bytes == admission.granted_bytes
        return vectors

    monkeypatch.setattr(EmbeddingContext, "embed", watched)
    embedder.submit(Embed(1, [TEXT, LONG]))
    embedder.step()
    (reply,) = replies
    assert isinstance(reply, Embedded)
    assert found[-1].kv_granted_bytes >= found[-1].kv_resident_bytes > 1 << 20
    assert admission.most_noted_bytes == found[-1].kv_resident_bytes
    stats = embedder.stats(0)
    assert (admission.granted_bytes, admission.noted_bytes, stats.kv_granted_bytes, stats.kv_resident_bytes) == (
        0,
        0,
        0,
        0,
    )


def test_a_long_text_waits_for_memory_and_the_others_go_on(
    embedder: Embedder, admission: LimitedAdmission, replies: list[Reply]
) -> None:
    admission.limit_bytes = 1 << 20
    embedder.submit(Embed(1, [LONG]))
    embedder.step()
    (need,) = replies
    assert isinstance(need, NeedMemory)
    assert (need.id, admission.granted_bytes) == (1, 0)
    assert embedder.stats(0).slots_detail[0].state is SlotState.WAIT
    assert embedder.batches() is None
    embedder.submit(Embed(2, [TEXT]))
    embedder.step()
    admission.limit_bytes += need.missing_bytes
    embedder.submit(MemoryOffered(1))
    embedder.step()
    assert [reply.id for reply in replies if isinstance(reply, Embedded)] == [2, 1]
    assert (admission.granted_bytes, embedder.stats(0).slots_detail[0].state) == (0, SlotState.IDLE)


def test_a_long_text_fails_with_the_numbers_when_nothing_could_be_offered(
    embedder: Embedder, admission: LimitedAdmission, replies: list[Reply]
) -> None:
    admission.limit_bytes = 1 << 20
    embedder.submit(Embed(1, [TEXT, LONG]))
    embedder.step()
    embedder.submit(MemoryOffered(1))
    embedder.step()
    _need, failed = replies
    assert isinstance(failed, Failed)
    error = from_data(failed.kind, failed.fields)
    assert isinstance(error, KvGrowError)
    assert (error.to_cells, error.free_bytes) == (ENCODER_TOKENS, 1 << 20)
    assert error.needed_bytes > error.free_bytes
    embedder.submit(Embed(2, [TEXT]))
    embedder.step()
    assert isinstance(replies[-1], Embedded)


def test_a_cancel_ends_the_wait_for_memory(
    embedder: Embedder, admission: LimitedAdmission, replies: list[Reply]
) -> None:
    admission.limit_bytes = 0
    embedder.submit(Embed(1, [LONG]))
    embedder.step()
    for work in (Cancel(1), MemoryOffered(1), Embed(2, [TEXT])):
        embedder.submit(work)
    embedder.step()
    assert [type(reply) for reply in replies] == [NeedMemory, Embedded]


@pytest.mark.parametrize("reserves", [True, False])
def test_cells_are_in_the_books_where_a_model_has_some(
    tmp_path: Path, admission: LimitedAdmission, replies: list[Reply], reserves: bool
) -> None:
    logs.route()
    write_llama(tmp_path / "llama.gguf", pooling=gguf.PoolingType.LAST)
    with LlamaModel(tmp_path / "llama.gguf") as model:
        memory = EmbedderMemory(admission=admission, reserves=reserves, wait_s=0)
        embedder = Embedder(model, fixed(2), memory, replies.append)
        embedder.submit(Embed(1, [[5] * model.trained_tokens]))
        embedder.step()
        embedder.close()
        assert isinstance(replies[0], Embedded)
        assert admission.most_granted_bytes > model.kv_cell_bytes(CacheType.F16) * model.trained_tokens
    assert admission.granted_bytes == 0


def test_texts_share_batches() -> None:
    assert list(batches([[1] * 3, [2] * 3, [3] * 9, [4]], 6)) == [[[1] * 3, [2] * 3], [[3] * 9], [[4]]]
    assert [len(group) for group in batches([[1]] * 70, 512)] == [32, 32, 6]
    assert list(batches([], 6)) == []


def _error(replies: list[Reply]) -> type[Exception]:
    (reply,) = replies
    assert isinstance(reply, Failed)
    return type(from_data(reply.kind, reply.fields))
