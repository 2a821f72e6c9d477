"""A turn that changes the end of the last one is read from there on, whatever a model's memory is."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runner.answers import ROUNDING, asked, distance
from tests.runner.byte_models import open_byte_model
from tests.runner.harness import Harness
from tests.tiny import ARCHITECTURES, MemoryKind

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
    with open_byte_model(request.param, tmp_path_factory.mktemp("model")) as loaded:
        yield loaded


def test_a_turn_without_the_last_thoughts_goes_on_at_the_end_of_its_prompt(uncut: LlamaModel) -> None:
    """And its answer is that of a conversation that ended there, but for rounding."""
    first = [*SYSTEM, *TURN]
    warm = Harness(uncut, checkpoints=MOST)
    second = [*first, *asked(warm, 1, first, limit=ANSWER)[0][ANSWER // 2 :], *TURN]
    answered = asked(warm, 2, second, limit=ANSWER)
    silent = Harness(uncut)
    asked(silent, 1, first, limit=0)
    assert distance(asked(silent, 2, second, limit=ANSWER), answered) < ROUNDING
    assert warm.cached_tokens(2) == silent.cached_tokens(2) == len(first)
    assert warm.store.check_integrity() == []


def test_without_checkpoints_it_is_read_from_the_beginning(uncut: LlamaModel) -> None:
    first = [*SYSTEM, *TURN]
    harness = Harness(uncut)
    second = [*first, *asked(harness, 1, first, limit=ANSWER)[0][ANSWER // 2 :], *TURN]
    asked(harness, 2, second, limit=ANSWER)
    assert harness.cached_tokens(2) <= len(first)
    assert harness.store.checkpoint_bytes == 0


def test_a_line_that_changes_again_is_gone_back_to(uncut: LlamaModel) -> None:
    """What is before it is read once more when it changes for the first time, and never after that."""
    harness = Harness(uncut, checkpoints=MOST)
    before, after = SYSTEM[:200], SYSTEM[200:]
    for request_id, line in enumerate(([1, 2, 3], [4, 5, 6], [7, 8, 9])):
        asked(harness, request_id, [*before, *line, *after], limit=150)
    slot = max(harness.engine.slots, key=lambda slot: slot.last_used_ns)
    assert slot.reuse == (len(SYSTEM) + 3, len(before), len(before))
    assert harness.cached_tokens(1) <= harness.cached_tokens(2) == len(before)


def test_a_busy_slots_system_prompt_is_copied_at_its_checkpoint(uncut: LlamaModel) -> None:
    """Beside another's tokens a prompt is read in other chunks, which rounding shows."""
    first, second = [*SYSTEM, *TURN], [*SYSTEM, *TURN[::-1]]
    alone = Harness(uncut, checkpoints=MOST)
    asked(alone, 1, SYSTEM, limit=1)
    expected = asked(alone, 2, second, limit=ANSWER // 2)
    harness = Harness(uncut, checkpoints=MOST)
    harness.submit_tokens(1, SYSTEM, limit=1)
    harness.run()
    harness.submit_tokens(1, first, limit=ANSWER)
    harness.step(12)
    answered = asked(harness, 2, second, limit=ANSWER // 2)
    assert alone.cached_tokens(2) == harness.cached_tokens(2) == len(SYSTEM)
    assert distance(expected, answered) < ROUNDING
    assert harness.store.check_integrity() == []


# --- when they are saved ---------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=300), st.integers(0, 300))
def test_reading_stops_before_the_first_and_the_last_control_token_and_where_it_leaves_what_was_there(
    controls: list[bool], branch: int
) -> None:
    found = stops(range(len(controls)), controls.__getitem__, branch)
    after = [place for place, is_control in enumerate(controls) if is_control and place >= FIRST_TOKENS]
    branches = {branch} if FIRST_TOKENS <= branch < len(controls) else set()
    assert found == tuple(sorted({*after[:1], *after[-1:]} | branches))


def test_when_a_checkpoint_is_due() -> None:
    assert is_due(500, 500, (), [])
    assert not is_due(501, 500, (), [])
    assert not is_due(256, 500, (), [])
    assert is_due(256, 500, (256, 490), [])
    assert not is_due(256, 500, (256, 490), [256])
    assert is_due(APART_TOKENS + 256, 5000, (), [256])
