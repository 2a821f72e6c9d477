"""Driving a store as the engine does: cells are granted, written, forgotten; tokens come from greedy decoding."""

from swell.kv.base import KvStore
from swell.llama.batch import Batch
from swell.llama.sampler import Sampler
from swell.sampling import Sampling

BATCH_TOKENS = 256
GREEDY = Sampling(seed=0, temperature=0)


def write(store: KvStore, slot: int, tokens: list[int]) -> int:
    """Decode `tokens` at the end of `slot`; returns the batch index of the last one, whose logits there are."""
    index = -1
    with Batch(BATCH_TOKENS) as batch:
        for start in range(0, len(tokens), BATCH_TOKENS):
            part = tokens[start : start + BATCH_TOKENS]
            batch.clear()
            store.prepare(slot, len(part))
            for offset, token in enumerate(part):
                is_last = start + offset == len(tokens) - 1
                index = batch.add(token, store.cells[slot].stored + offset, slot, wants_logits=is_last)
            store.context.decode(batch)
            store.advance(slot, len(part))
    return index


def generate(store: KvStore, slot: int, pending: list[int], count: int) -> list[int]:
    """`count` greedy tokens after `pending`; the last one is not yet stored."""
    produced: list[int] = []
    with Sampler(store.context.model.vocabulary, GREEDY) as sampler:
        while len(produced) < count:
            index = write(store, slot, pending)
            pending = [sampler.sample(store.context, index)]
            produced += pending
    return produced


def fill(store: KvStore, slot: int, cells: int) -> None:
    """Write `cells` more cells of `slot` with tokens of no meaning."""
    stored = store.cells[slot].stored
    vocabulary = store.context.model.vocabulary.size
    write(store, slot, [(7 * position) % (vocabulary - 8) + 4 for position in range(stored, stored + cells)])
