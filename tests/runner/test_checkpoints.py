"""A turn that changes the end of the last one is read from there on, whatever a model's memory is."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runner.harness import Harness
from tests.tiny import ARCHITECTURES, Architecture, MemoryKind
from tests.tiny.weights import ModelFile, add_bytes

from swell.llama import logs
from swell.llama.model import LlamaModel
from swell.runner.checkpointing import APART_TOKENS, FIRST_TOKENS, is_due, stops

KINDS = (MemoryKind.SLIDING, MemoryKind.CHUNKED, MemoryKind.RECURRENT, MemoryKind.HYBRID)
SYSTEM = [(token * 37 + 11) % 251 for token in range(300)]
TURN = [(token * 53 + 7) % 251 for token in range(80)]
ANSWER = 200
MOST = 8


@pytest.fixture(
    scope="module",
    params=[one for one in ARCHITECTURES.values() if one.memory_kind in KINDS],
    ids=lambda one: str(one.name),
)
def uncut(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaModel]:
    architecture: Architecture = request.param
    logs.route()
    path = tmp_path_factory.mktemp("model") / "tiny.gguf"
    with pytest.MonkeyPatch.context() as patch:  # an engine asks what tokens stand for
        patch.setattr(ModelFile.write, "__defaults__", (add_bytes,))
        architecture.write(path)
    with LlamaModel(path) as loaded:
        yield loaded


def asked(harness: Harness, request_id: int, prompt: list[int], limit: int = ANSWER) -> list[int]:
    harness.submit_tokens(request_id, prompt, limit=limit)
    harness.run()
    return harness.emitted(request_id)


def test_a_turn_without_the_last_thoughts_goes_on_at_the_end_of_its_prompt(uncut: LlamaModel) -> None:
    """And its answer is that of a conversation that ended there, but for rounding: cells of a window come back in
    another order, and one of nine models then chooses another token after 159. One that is read from the beginning is
    computed in other chunks; of these random models, two then go on differently, after 159 and 164 tokens.
    """
    first = [*SYSTEM, *TURN]
    warm = Harness(uncut, checkpoints=MOST)
    second = [*first, *asked(warm, 1, first)[ANSWER // 2 :], *TURN]
    answer = asked(warm, 2, second)
    silent = Harness(uncut)
    asked(silent, 1, first, limit=0)
    assert asked(silent, 2, second)[: ANSWER // 2] == answer[: ANSWER // 2]
    assert warm.cached_tokens(2) == silent.cached_tokens(2) == len(first)
    assert warm.store.check_integrity() == []


def test_without_checkpoints_it_is_read_from_the_beginning(uncut: LlamaModel) -> None:
    first = [*SYSTEM, *TURN]
    harness = Harness(uncut)
    second = [*first, *asked(harness, 1, first)[ANSWER // 2 :], *TURN]
    asked(harness, 2, second)
    assert harness.cached_tokens(2) <= len(first)
    assert harness.store.checkpoint_bytes == 0


# --- when they are saved ---------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=300))
def test_reading_stops_before_the_first_and_the_last_control_token(controls: list[bool]) -> None:
    found = stops(range(len(controls)), controls.__getitem__)
    after = [place for place, is_control in enumerate(controls) if is_control and place >= FIRST_TOKENS]
    assert found == tuple(sorted({after[0], after[-1]} if after else ()))


def test_when_a_checkpoint_is_due() -> None:
    assert is_due(500, 500, (), [])
    assert not is_due(501, 500, (), [])
    assert not is_due(256, 500, (), [])
    assert is_due(256, 500, (256, 490), [])
    assert not is_due(256, 500, (256, 490), [256])
    assert is_due(APART_TOKENS + 256, 5000, (), [256])
