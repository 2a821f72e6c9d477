"""The CPU backend of a context, caught and governed."""

import itertools
from collections.abc import Iterator

import pytest

from swell.llama import processor
from swell.llama.batch import Batch
from swell.llama.context import Context, ContextShape
from swell.llama.library import api
from swell.llama.model import LlamaModel

SHAPE = ContextShape(cells=1024, slots=1, batch_tokens=256, threads=2)
PROMPT = [(token * 37 + 11) % 4000 for token in range(600)]


class Scripted:
    """So many threads, graph by graph."""

    def __init__(self, counts: Iterator[int]) -> None:
        self._counts = counts
        self.begun = self.ended = 0

    def begin(self) -> int:
        self.begun += 1
        return next(self._counts)

    def end(self) -> None:
        self.ended += 1


def test_a_context_has_one_backend_that_can_be_caught(model: LlamaModel) -> None:
    assert processor.refusal() is None
    backends: list[int] = []
    with processor.catching_backends(backends.append), Context(model, SHAPE):
        assert len(backends) == 1
    with Context(model, SHAPE):
        assert len(backends) == 1  # it is over


def logits_of(model: LlamaModel, threads: Scripted | None) -> list[list[float]]:
    """What follows a prompt of 600 tokens, and each of 8 more, with a backend that is governed or not."""
    found = []
    backends: list[int] = []
    with processor.catching_backends(backends.append):
        context = Context(model, SHAPE)
    if threads is not None:
        for backend in backends:
            processor.govern(backend, threads)
    with context, Batch(SHAPE.batch_tokens) as batch:
        for start in range(0, len(PROMPT), SHAPE.batch_tokens):
            batch.clear()
            for offset, token in enumerate(PROMPT[start : start + SHAPE.batch_tokens]):
                batch.add(token, start + offset, 0, wants_logits=start + offset == len(PROMPT) - 1)
            context.decode(batch)
        for position in range(len(PROMPT), len(PROMPT) + 8):
            batch.clear()
            index = batch.add(500, position, 0, wants_logits=True)
            context.decode(batch)
            row = api.llama_get_logits_ith(context.pointer, index)
            found.append(list(row[: model.vocabulary.size]))
    return found


@pytest.mark.parametrize("counts", [(1,), (2,), (1, 2, 3)])
def test_a_governed_backend_computes_the_same_bits(model: LlamaModel, counts: tuple[int, ...]) -> None:
    threads = Scripted(itertools.cycle(counts))
    assert logits_of(model, threads) == logits_of(model, None)
    assert threads.begun == threads.ended >= 11
