"""The same answers whatever is cached: 56 conversations, each cold, warm, after restores from files and checkpoints.

But for what arithmetic does to the last bits: see tests/runner/answers.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runner.answers import ROUNDING, Answer, asked, distance
from tests.runner.byte_models import open_byte_model
from tests.runner.harness import Harness
from tests.tiny import ARCHITECTURES, Architecture, MemoryKind

from swell.llama.model import LlamaModel
from swell.protocol.messages import KeepPrefixes

INDEX_ROUNDING = 3.0
"""Of sparse attention, where the last bits choose what is attended to: with nothing cached, reading in chunks of
63 tokens instead of 64 gives up to 2.4."""
CONVERSATIONS = 4
TURNS = 3
ANSWER = 48
MOST = 8


@pytest.fixture(scope="module", params=ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def architecture(request: pytest.FixtureRequest) -> Architecture:
    found: Architecture = request.param
    return found


@pytest.fixture(scope="module")
def tiny(architecture: Architecture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    with open_byte_model(architecture, tmp_path_factory.mktemp("model")) as loaded:
        yield loaded


def ended(harness: Harness) -> None:
    harness.engine.submit(KeepPrefixes(99))
    harness.engine._take_work()
    harness.store.close()


def cold(model: LlamaModel, turn: int, prompt: list[int]) -> Answer:
    harness = Harness(model)
    answer = asked(harness, turn, prompt, limit=ANSWER)
    harness.store.close()
    return answer


def restored(model: LlamaModel, turn: int, prompt: list[int], folder: Path) -> Answer:
    harness = Harness(model, checkpoints=MOST, prefix_folder=folder)
    answer = asked(harness, turn, prompt, limit=ANSWER)
    ended(harness)
    return answer


@pytest.mark.parametrize("number", range(CONVERSATIONS))
def test_what_is_cached_changes_no_answer(
    architecture: Architecture, tiny: LlamaModel, tmp_path: Path, number: int
) -> None:
    """Of every second conversation, the first half of each answer is left out afterwards, as thoughts are."""
    rounding = INDEX_ROUNDING if architecture.memory_kind is MemoryKind.SPARSE else ROUNDING
    drawn = random.Random(number)
    prompt = [drawn.randrange(256) for _ in range(drawn.choice([65, 130, 257, 400]))]
    warm = Harness(tiny, checkpoints=MOST)
    for turn in range(TURNS):
        expected = cold(tiny, turn, prompt)
        assert distance(expected, asked(warm, turn, prompt, limit=ANSWER)) < rounding
        assert distance(expected, restored(tiny, turn, prompt, tmp_path)) < rounding
        kept = expected[0][ANSWER // 2 if number % 2 else 0 :]
        prompt = [*prompt, *kept, *(drawn.randrange(256) for _ in range(drawn.randrange(1, 60)))]
    assert warm.cached_tokens(TURNS - 1) > 0
    warm.store.close()
