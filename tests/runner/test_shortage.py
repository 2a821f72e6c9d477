"""What the engine does when memory is refused: ask for that of other models, wait a while, go on meanwhile."""

from collections.abc import Callable, Iterator

import pytest
from tests.counting import PROMPT, expected
from tests.runner.harness import POLICY, Harness
from tests.runner.limited import FOREVER_S, LimitedAdmission

from swell.errors import KvGrowError
from swell.llama.model import LlamaModel
from swell.protocol.messages import Cancel, FinishReason, MemoryOffered, Shrink, ShrinkLevel


@pytest.fixture
def admission() -> LimitedAdmission:
    return LimitedAdmission()


@pytest.fixture
def harness(model: LlamaModel, admission: LimitedAdmission) -> Iterator[Harness]:
    made = Harness(model, admission, memory_wait_s=FOREVER_S)
    yield made
    made.store.close()


def fill(harness: Harness, admission: LimitedAdmission) -> None:
    """From here on there is room for 64 cells in all, which is what one slot begins with."""
    admission.limit_bytes = harness.store.bytes_of(64)


def step_until(harness: Harness, condition: Callable[[], object]) -> None:
    for _ in range(400):
        if condition():
            return
        harness.step()
    raise AssertionError("it does not happen")


def test_a_prompt_without_memory_waits_and_the_others_go_on(harness: Harness, admission: LimitedAdmission) -> None:
    harness.submit(1, limit=5)
    harness.step()
    fill(harness, admission)
    harness.submit(2, limit=200)
    step_until(harness, harness.reasons)
    (need,) = harness.needs
    assert need.id == 2
    assert need.missing_bytes > 0
    assert harness.reasons() == {1: FinishReason.LENGTH}
    admission.limit_bytes *= 100
    harness.engine.submit(MemoryOffered(2))
    harness.run()
    assert harness.text(2) == expected(40, len(harness.text(2)))
    assert harness.failures() == {}


def test_an_answer_in_progress_waits_between_two_tokens(harness: Harness, admission: LimitedAdmission) -> None:
    harness.submit(1, limit=250)
    harness.step(4)
    fill(harness, admission)
    step_until(harness, lambda: harness.needs)
    before = harness.text(1)
    admission.limit_bytes *= 100
    harness.engine.submit(MemoryOffered(1))
    harness.run()
    assert 0 < len(before) < len(harness.text(1))
    assert harness.text(1) == expected(40, len(harness.text(1)))


def test_it_fails_with_the_numbers_when_nothing_could_be_offered(harness: Harness, admission: LimitedAdmission) -> None:
    fill(harness, admission)
    harness.submit(1, limit=250)
    harness.step()
    assert harness.failures() == {}
    harness.engine.submit(MemoryOffered(1))
    harness.run()
    assert isinstance(harness.failures()[1], KvGrowError)
    assert len(harness.needs) == 1


def test_it_fails_when_nobody_answers(model: LlamaModel, admission: LimitedAdmission) -> None:
    harness = Harness(model, admission, memory_wait_s=0.05)
    fill(harness, admission)
    harness.submit(1, limit=250)
    harness.run()
    assert isinstance(harness.failures()[1], KvGrowError)
    harness.store.close()


def test_one_that_waits_can_give_up_its_cells_and_computes_them_again(
    harness: Harness, admission: LimitedAdmission
) -> None:
    harness.submit(1, limit=250)
    harness.step(4)
    fill(harness, admission)
    step_until(harness, lambda: harness.needs)
    harness.engine.submit(Shrink(5, ShrinkLevel.WAITING))
    harness.engine._take_work()
    assert (harness.shrunk, admission.granted_bytes) == ([5], 0)
    admission.limit_bytes *= 100
    harness.engine.submit(MemoryOffered(1))
    harness.run()
    assert harness.text(1) == expected(40, len(harness.text(1)))
    assert harness.reasons() == {1: FinishReason.LENGTH}


def test_a_cancel_ends_the_wait(harness: Harness, admission: LimitedAdmission) -> None:
    fill(harness, admission)
    harness.submit(1, limit=250)
    harness.step()
    harness.engine.submit(Cancel(1))
    harness.engine.submit(MemoryOffered(1))
    harness.step()
    assert not harness.is_busy
    assert harness.failures() == {}


def test_an_idle_engine_gives_back_what_it_is_told_to(harness: Harness, admission: LimitedAdmission) -> None:
    harness.submit(1, limit=5)
    harness.run()
    slot = max(harness.engine.slots, key=lambda slot: slot.stored)
    stored = slot.stored
    harness.engine.submit(Shrink(7, ShrinkLevel.UNSTORED))
    harness.engine._take_work()
    assert (harness.shrunk, slot.stored) == ([7], stored)
    assert admission.granted_bytes == harness.store.bytes_of(-(-stored // 32) * 32)
    harness.engine.submit(Shrink(8, ShrinkLevel.PREFIXES))
    harness.engine._take_work()
    assert (harness.shrunk, slot.stored, admission.granted_bytes) == ([7, 8], 0, 0)


def test_the_youngest_is_paused_and_goes_on_when_the_elder_has_ended(
    model: LlamaModel, admission: LimitedAdmission
) -> None:
    """Three generations with room for about one and a half: all finish, and none says anything twice."""
    harness = Harness(model, admission)
    admission.limit_bytes = harness.store.bytes_of(352)
    for request_id in range(3):
        harness.submit(request_id, limit=200)
    harness.run()
    assert harness.failures() == {}
    assert harness.engine.counters.totals().pauses > 0
    for request_id in range(3):
        text = harness.text(request_id)
        assert text == expected(40, len(text))
        assert sum(event.id == request_id for step in harness.steps for event in step.emitted) == 200
    finished = [event.id for step in harness.steps for event in step.finished]
    assert finished[0] == 0
    harness.store.close()


@pytest.mark.parametrize("first", [1, 2])
def test_one_that_waits_for_other_models_is_paused_for_its_elder(
    harness: Harness, admission: LimitedAdmission, first: int
) -> None:
    """Both lack memory at once; what is offered then is nothing, and said to both of them, to either one first."""
    harness.submit(1, limit=200)
    harness.submit(2, limit=200)
    harness.step(4)
    admission.limit_bytes = harness.store.bytes_of(352)
    step_until(harness, lambda: len(harness.needs) == 2)
    for request_id in (first, 3 - first):
        harness.engine.submit(MemoryOffered(request_id))
        harness.step()
    harness.run()
    assert harness.engine.counters.totals().pauses == 1
    assert [event.id for step in harness.steps for event in step.finished] == [1, 2]
    for request_id in (1, 2):
        assert harness.text(request_id) == expected(40, len(harness.text(request_id)))
    assert harness.reasons() == {1: FinishReason.LENGTH, 2: FinishReason.LENGTH}


def test_cached_conversations_are_not_given_up_in_vain(harness: Harness, admission: LimitedAdmission) -> None:
    """A prompt for which all of them aren't enough asks others for the rest, and takes them only when that is there."""
    for request_id in (1, 2):
        harness.submit(request_id, f"No. {request_id}: {PROMPT}", limit=5)
        harness.run()
    idle = [slot for slot in harness.engine.slots if slot.stored]
    kept = [list(slot.tokens) for slot in idle]
    own_bytes = harness.engine.reclaimable_bytes
    admission.limit_bytes = admission.granted_bytes
    harness.submit(3, PROMPT * 4, limit=1)
    step_until(harness, lambda: harness.needs)
    (need,) = harness.needs
    needed = len(harness.model.vocabulary.tokenize(PROMPT * 4, add_special=True, parse_special=False))
    assert 0 < need.missing_bytes <= harness.store.bytes_of(needed + POLICY.block_cells) - own_bytes
    assert [slot.tokens for slot in idle] == kept
    admission.limit_bytes += need.missing_bytes
    harness.engine.submit(MemoryOffered(3))
    harness.run()
    assert harness.reasons()[3] is FinishReason.LENGTH
    assert harness.engine.counters.totals().reclaims > 0


def test_nobody_is_paused_in_vain(model: LlamaModel, admission: LimitedAdmission) -> None:
    """An elder generation needs more than it and the younger one have together: it fails, the younger one goes on."""
    harness = Harness(model, admission)
    harness.submit(1, limit=900)
    harness.step(4)
    harness.submit(2, "2 " + PROMPT, limit=60)
    harness.step(4)
    admission.limit_bytes = admission.granted_bytes
    harness.run()
    assert harness.reasons()[2] is FinishReason.LENGTH
    assert isinstance(harness.failures()[1], KvGrowError)
    harness.store.close()


def test_one_alone_that_lacks_memory_fails(model: LlamaModel, admission: LimitedAdmission) -> None:
    harness = Harness(model, admission)
    admission.limit_bytes = harness.store.bytes_of(128)
    harness.submit(1, limit=200)
    harness.run()
    assert isinstance(harness.failures()[1], KvGrowError)
    harness.store.close()


def test_a_source_that_makes_room_for_its_copy_is_not_copied(model: LlamaModel) -> None:
    """The idle slot whose beginning is wanted is the one that gives its memory up: then all is computed."""
    beginning = [100 + place * 37 % 1000 for place in range(200)]
    asked = [*beginning, *range(300, 340)]
    fresh, harness = Harness(model), Harness(model, tight := LimitedAdmission())
    harness.submit_tokens(1, [*beginning, *range(500, 800)], limit=5)
    harness.run()
    tight.limit_bytes = harness.store.bytes_of(600)
    for one in (fresh, harness):
        one.submit_tokens(2, asked, limit=20)
        one.run()
    assert harness.engine.counters.totals().reclaims == 1
    assert harness.failures() == {}
    assert harness.emitted(2) == fresh.emitted(2)
    assert harness.store.check_integrity() == []
    fresh.store.close()
    harness.store.close()
