"""The models of tests/models are what they claim to be; what llama.cpp remembers with them is tested elsewhere."""

import ctypes
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tiny import ARCHITECTURES, Architecture

from swell.llama import logs
from swell.llama.batch import Batch
from swell.llama.context import Context, ContextShape
from swell.llama.library import api
from swell.llama.model import LlamaModel

SHAPE = ContextShape(cells=512, slots=2, batch_tokens=128, threads=1)
PROMPT = [(token * 37 + 11) % 251 for token in range(48)]
"""Shorter than every sliding window, so that its first token is always seen."""
FILE_BYTES_MAX = 1_000_000


@pytest.fixture(scope="module", params=ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def architecture(request: pytest.FixtureRequest) -> Architecture:
    found: Architecture = request.param
    return found


@pytest.fixture(scope="module")
def path(architecture: Architecture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("models") / f"{architecture.name}.gguf"
    architecture.write(written)
    return written


@pytest.fixture(scope="module")
def tiny_model(path: Path) -> Iterator[LlamaModel]:
    logs.route()
    with LlamaModel(path) as loaded:
        yield loaded


def read(context: Context, batch: Batch, slot: int, tokens: list[int], start: int) -> list[float]:
    """Decode `tokens` into `slot`; returns the last one's logits."""
    batch.clear()
    index = -1
    for offset, token in enumerate(tokens):
        index = batch.add(token, start + offset, slot, wants_logits=offset == len(tokens) - 1)
    context.decode(batch)
    row = api.llama_get_logits_ith(context.pointer, index)
    size = context.model.vocabulary.size
    return list((ctypes.c_float * size).from_address(ctypes.addressof(row.contents)))


def write(context: Context, slot: int, prompt: list[int], count: int) -> list[int]:
    """The `count` likeliest tokens after `prompt`, one after the other."""
    tokens = list(prompt)
    with Batch(SHAPE.batch_tokens) as batch:
        logits = read(context, batch, slot, prompt, 0)
        while len(tokens) < len(prompt) + count:
            assert all(map(math.isfinite, logits))
            tokens.append(max(range(len(logits)), key=logits.__getitem__))
            logits = read(context, batch, slot, tokens[-1:], len(tokens) - 1)
    return tokens[len(prompt) :]


def test_is_small_and_the_same_each_time(architecture: Architecture, path: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.gguf"
    architecture.write(again)
    assert again.read_bytes() == path.read_bytes()
    assert path.stat().st_size < FILE_BYTES_MAX


def test_loads(architecture: Architecture, tiny_model: LlamaModel) -> None:
    assert tiny_model.trained_tokens == architecture.trained_tokens
    assert tiny_model.window_tokens == architecture.window_tokens
    assert tiny_model.vocabulary.size == architecture.vocabulary_tokens


def test_writes_without_end_or_rut(tiny_model: LlamaModel) -> None:
    with Context(tiny_model, SHAPE) as context:
        tokens = write(context, 1, PROMPT, 300)
        assert context.positions(1)[1] == len(PROMPT) + 299
        assert context.positions(0) == (-1, -1)
    assert len(set(tokens[-100:])) > 20


def test_what_it_writes_depends_on_the_first_token(tiny_model: LlamaModel) -> None:
    with Context(tiny_model, SHAPE) as context:
        tokens = write(context, 0, PROMPT, 40)
        other = write(context, 1, [PROMPT[0] + 1, *PROMPT[1:]], 40)
    assert tokens != other


def test_what_it_writes_depends_on_the_order(tiny_model: LlamaModel) -> None:
    middle = len(PROMPT) // 2
    swapped = [*PROMPT[:middle], PROMPT[middle + 1], PROMPT[middle], *PROMPT[middle + 2 :]]
    with Context(tiny_model, SHAPE) as context:
        assert write(context, 0, PROMPT, 40) != write(context, 1, swapped, 40)


def test_slots_do_not_see_each_other(tiny_model: LlamaModel) -> None:
    with Context(tiny_model, SHAPE) as context:
        alone = write(context, 0, PROMPT, 40)
        write(context, 1, PROMPT[::-1], 40)
        assert context.remove(0, 0)
        assert write(context, 0, PROMPT, 40) == alone
