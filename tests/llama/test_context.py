from collections.abc import Iterator

import pytest
from tests.counting import PROMPT, expected

from swell.errors import AbortedError, ContextError, NoRoomError, StateError
from swell.llama.batch import Batch
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel
from swell.llama.sampler import Sampler, draw_seed
from swell.sampling import Sampling

SHAPE = ContextShape(cells=512, slots=2, batch_tokens=256, threads=1)
GREEDY = Sampling(seed=0, temperature=0)


@pytest.fixture
def context(model: LlamaModel) -> Iterator[Context]:
    with Context(model, SHAPE) as created:
        yield created


@pytest.fixture
def batch() -> Iterator[Batch]:
    with Batch(SHAPE.batch_tokens) as created:
        yield created


def read(context: Context, batch: Batch, slot: int, tokens: list[int], start: int = 0) -> int:
    """Decode `tokens` into `slot`; returns the batch index of the last one's logits."""
    batch.clear()
    index = -1
    for offset, token in enumerate(tokens):
        index = batch.add(token, start + offset, slot, wants_logits=offset == len(tokens) - 1)
    context.decode(batch)
    return index


def write(context: Context, batch: Batch, slot: int, start: int, index: int, count: int, sampling: Sampling) -> str:
    """Sample and decode `count` tokens from the logits at `index` on; returns their text."""
    vocabulary = context.model.vocabulary
    pieces = []
    with Sampler(vocabulary, sampling) as sampler:
        for offset in range(count):
            token = sampler.sample(context, index)
            pieces.append(vocabulary.piece(token))
            index = read(context, batch, slot, [token], start + offset)
    return b"".join(pieces).decode()


def prompt_tokens(model: LlamaModel) -> list[int]:
    return model.vocabulary.tokenize(PROMPT, add_special=True, parse_special=False)


def test_counts_on(model: LlamaModel, context: Context, batch: Batch) -> None:
    tokens = prompt_tokens(model)
    text = write(context, batch, 1, len(tokens), read(context, batch, 1, tokens), 60, GREEDY)
    assert text == expected(40, len(text))
    assert context.positions(1) == (0, len(tokens) + 59)
    assert context.positions(0) == (-1, -1)


def test_forgotten_cells_can_be_computed_again(model: LlamaModel, context: Context, batch: Batch) -> None:
    tokens = prompt_tokens(model)
    first = write(context, batch, 0, len(tokens), read(context, batch, 0, tokens), 20, GREEDY)
    assert context.remove(0, len(tokens) - 5)
    index = read(context, batch, 0, tokens[-5:], len(tokens) - 5)
    assert write(context, batch, 0, len(tokens), index, 20, GREEDY) == first


def test_a_slots_state_moves_to_another_slot(model: LlamaModel, context: Context, batch: Batch) -> None:
    tokens = prompt_tokens(model)
    read(context, batch, 0, tokens[:-1])
    context.restore_state(1, context.save_state(0))
    assert context.positions(1) == (0, len(tokens) - 2)
    index = read(context, batch, 1, tokens[-1:], len(tokens) - 1)
    assert write(context, batch, 1, len(tokens), index, 12, GREEDY).startswith("40 41 42")


def test_a_damaged_state_leaves_the_slot_empty(model: LlamaModel, context: Context, batch: Batch) -> None:
    read(context, batch, 0, prompt_tokens(model))
    damaged = bytearray(context.save_state(0)[:-100])
    with pytest.raises(StateError):
        context.restore_state(1, damaged)
    assert context.positions(1) == (-1, -1)


def test_a_batch_too_many_is_refused_and_changes_nothing(model: LlamaModel, context: Context, batch: Batch) -> None:
    for start in (0, 256):
        read(context, batch, 0, [5] * 256, start)
    with pytest.raises(NoRoomError):
        read(context, batch, 0, [5], 512)
    assert context.positions(0) == (0, 511)
    read(context, batch, 1, [5], 0)


def test_an_abort_stops_one_decode(model: LlamaModel, context: Context, batch: Batch) -> None:
    context.request_abort()
    with pytest.raises(AbortedError):
        read(context, batch, 0, prompt_tokens(model))
    context.remove(0, 0)
    read(context, batch, 0, prompt_tokens(model))


def test_more_cells_than_can_be_counted_are_refused(model: LlamaModel) -> None:
    with pytest.raises(ContextError) as caught:
        Context(model, ContextShape(cells=2**31, slots=1, batch_tokens=64, threads=1))
    assert caught.value.cells == 2**31


def test_the_same_seed_draws_the_same_tokens(model: LlamaModel, context: Context, batch: Batch) -> None:
    tokens = model.vocabulary.tokenize("Once upon a time", add_special=True, parse_special=False)
    texts = []
    for seed in (7, 7, 8):
        context.remove(0, 0)
        index = read(context, batch, 0, tokens)
        texts.append(write(context, batch, 0, len(tokens), index, 24, Sampling(seed=seed, temperature=1.5)))
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_draws_depend_on_seed_and_index_alone() -> None:
    draws = {draw_seed(seed, index) for seed in range(50) for index in range(50)}
    assert len(draws) == 2500
    assert draw_seed(2**63 - 1, 10**6) < 2**32
