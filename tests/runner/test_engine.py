"""The engine on the real model, without a process around it."""

import dataclasses
import itertools
from collections.abc import Iterator

import pytest
from tests.counting import PROMPT, expected
from tests.runner.harness import POLICY, SHAPE, Harness

from swell.errors import DecodeError, InvalidRequestError, KvGrowError, from_data
from swell.kv.admission import OpenAdmission, Refusal
from swell.kv.copied import CopiedStore
from swell.llama.batch import Batch
from swell.llama.context import Context
from swell.llama.model import LlamaModel
from swell.llama.sampler import Sampler
from swell.protocol.messages import Cancel, FinishReason, SlotState


@pytest.fixture
def harness(model: LlamaModel) -> Iterator[Harness]:
    made = Harness(model)
    yield made
    made.store.close()


def test_carries_a_prompt_on_to_its_limit(harness: Harness) -> None:
    tokens = harness.submit(1, limit=50)
    harness.run()
    assert harness.text(1) == expected(40, len(harness.text(1)))
    assert sum(len(step.emitted) for step in harness.steps) == 50
    assert harness.reasons() == {1: FinishReason.LENGTH}
    (prefilled,) = [event for step in harness.steps for event in step.prefilled]
    assert (prefilled.prompt_tokens, prefilled.cached_tokens) == (len(tokens), 0)


def test_more_requests_than_slots_are_all_answered_and_batched(harness: Harness) -> None:
    for request_id in range(7):
        harness.submit(request_id, limit=20 + request_id)
    harness.run()
    assert len(harness.reasons()) == 7
    for request_id in range(7):
        text = harness.text(request_id)
        assert text == expected(40, len(text))
    assert max(len(step.emitted) for step in harness.steps) == 3


def test_the_prefix_of_the_last_request_is_reused(harness: Harness) -> None:
    tokens = harness.submit(1, limit=10)
    harness.run()
    harness.submit(2, limit=10)
    harness.submit(3, PROMPT + harness.text(1), limit=10)
    harness.run()
    cached = {event.id: event.cached_tokens for step in harness.steps for event in step.prefilled}
    assert cached[1] == 0
    assert cached[2] == len(tokens) - 1
    assert harness.text(2) == harness.text(1)
    assert (harness.text(1) + harness.text(3)).startswith("40 41 42 43 44 45")


def test_nothing_of_another_conversation_is_seen(harness: Harness) -> None:
    harness.submit(1, limit=30)
    harness.run()
    alone = harness.text(1)
    harness.submit(2, "The password is MARIGOLD. " * 20, limit=5)
    harness.submit(3, limit=30)
    harness.run()
    assert harness.text(3) == alone


def test_grants_grow_by_blocks_while_it_generates(harness: Harness) -> None:
    harness.submit(1, "Once", limit=100)
    harness.run()
    slot = next(slot for slot in harness.engine.slots if slot.stored)
    assert slot.cells.granted == 128
    assert slot.stored <= 128


def test_stops_at_the_end_of_the_window(harness: Harness) -> None:
    tokens = harness.submit(1, limit=1000, window=130)
    harness.run()
    assert harness.reasons() == {1: FinishReason.LENGTH}
    assert sum(len(step.emitted) for step in harness.steps) == 130 - len(tokens)


def test_a_cancel_frees_the_slot_in_the_middle_of_a_prompt(harness: Harness) -> None:
    harness.submit(1, "word " * 600)
    harness.step(3)
    (busy,) = [slot for slot in harness.engine.slots if slot.state is SlotState.PREFILL]
    assert 0 < busy.stored < 600
    harness.engine.submit(Cancel(1))
    harness.step()
    assert busy.state is SlotState.IDLE
    assert not harness.reasons()
    harness.submit(2)
    harness.run()
    assert harness.text(2).startswith("40 41 42")


def test_an_abort_costs_the_others_nothing_but_time(harness: Harness) -> None:
    for request_id in (1, 2):
        harness.submit(request_id)
    harness.step(5)
    for _ in range(3):
        harness.store.context.request_abort()
        harness.step(2)
    harness.run()
    for request_id in (1, 2):
        assert harness.text(request_id) == expected(40, len(harness.text(request_id)))


def test_a_refused_growth_fails_only_the_one_that_asked(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.submit(1, "Hello there", limit=5)
    harness.step()
    monkeypatch.setattr(harness.store._books.admission, "claim", lambda *_: Refusal(0))
    harness.submit(2, limit=5)
    harness.run()
    (failed,) = [event for step in harness.steps for event in step.failed]
    assert failed.id == 2
    assert isinstance(from_data(failed.kind, failed.fields), KvGrowError)
    assert harness.reasons() == {1: FinishReason.LENGTH}


def test_a_failed_batch_fails_those_in_it_and_the_engine_goes_on(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Context, batch: Batch) -> None:
        raise DecodeError(-3, batch.size)

    harness.submit(1)
    with monkeypatch.context() as patch:
        patch.setattr(Context, "decode", fail)
        harness.step()
    (failed,) = [event for step in harness.steps for event in step.failed]
    assert (failed.id, failed.kind) == (1, "DecodeError")
    harness.submit(2)
    harness.run()
    assert harness.text(2).startswith("40 41 42")


def test_what_fails_and_what_goes_on_leaves_in_one_message(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_context: Context, _batch_index: int) -> int:
        raise InvalidRequestError("it can't be followed")

    for request_id in (1, 2):
        harness.submit(request_id)
    harness.step(5)
    (request,) = [slot.request for slot in harness.engine.slots if slot.request and slot.request.id == 2]
    monkeypatch.setattr(request.sampler, "sample", fail)
    before = len(harness.steps)
    harness.step()
    (output,) = harness.steps[before:]
    assert [event.id for event in output.failed] == [2]
    assert [event.id for event in output.emitted] == [1]


def test_all_tokens_are_chosen_before_the_cells_of_one_that_ended_move(
    model: LlamaModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copied cache moves into a smaller context after a request, and there are no logits in that one."""
    store = CopiedStore(model, dataclasses.replace(SHAPE, slots=2, shared=True), POLICY, OpenAdmission())
    harness = Harness(model, store=store)
    decoded: list[Context] = []
    decode, sample = Context.decode, Sampler.sample

    def watched_decode(context: Context, batch: Batch) -> None:
        decode(context, batch)
        decoded.append(context)

    def watched_sample(sampler: Sampler, context: Context, batch_index: int) -> int:
        assert context is decoded[-1]
        return sample(sampler, context, batch_index)

    monkeypatch.setattr(Context, "decode", watched_decode)
    monkeypatch.setattr(Sampler, "sample", watched_sample)
    harness.submit(0, "word " * 900, limit=1)
    harness.run()
    largest = store.capacity_cells
    harness.submit(1, limit=100)
    harness.step(2)
    for request_id in (2, 3):  # what its two latest requests needed decides how much a slot keeps
        harness.submit(request_id, f"{request_id} Hello", limit=3)
        while request_id not in harness.reasons():
            harness.step()
    assert 1 not in harness.reasons()
    assert store.capacity_cells < largest
    harness.run()
    assert harness.text(1) == expected(40, len(harness.text(1)))
    store.close()


def test_a_beginning_held_by_a_busy_slot_is_copied(harness: Harness) -> None:
    shared = "The quick brown fox jumps over the lazy dog. " * 12
    harness.submit(1, shared + PROMPT, limit=60)
    harness.step(6)
    (busy,) = [slot for slot in harness.engine.slots if slot.state is SlotState.GENERATE]
    harness.submit(2, shared + PROMPT, limit=30)
    harness.submit(3, shared + "Its name is", limit=5)
    harness.run()
    cached = {event.id: event.cached_tokens for step in harness.steps for event in step.prefilled}
    assert busy.stored > 0
    assert cached[1] == 0
    assert cached[2] > 200
    assert 100 < cached[3] < cached[2]
    assert harness.text(1).startswith(harness.text(2))


def test_a_longer_conversation_outlives_a_shorter_one_with_the_same_beginning(harness: Harness) -> None:
    shared = "The quick brown fox jumps over the lazy dog. " * 12
    harness.submit(1, shared + PROMPT * 2, limit=2)
    harness.run()
    harness.submit(2, shared + "Its name is", limit=2)
    harness.run()
    harness.submit(3, shared + PROMPT * 2, limit=2)
    harness.run()
    cached = {event.id: event.cached_tokens for step in harness.steps for event in step.prefilled}
    assert cached[2] > 100
    assert cached[3] > cached[2] + 100


def test_a_long_prompt_does_not_hold_up_a_running_stream(harness: Harness) -> None:
    """Between two of its tokens there is one batch, which the prompt only fills up."""
    harness.submit(1, limit=200)
    harness.step(3)
    prompt = harness.submit(2, " ".join(map(str, range(150))), limit=1)
    first = len(harness.steps)
    harness.step(20)
    reading = [step for step in harness.steps[first:] if not step.finished]
    assert len(prompt) > 4 * harness.engine._decoder.capacity
    assert [len([event for event in step.emitted if event.id == 1]) for step in reading] == [1] * len(reading)
    assert 2 in harness.reasons()


def test_what_is_cached_and_what_is_cut_is_counted(harness: Harness) -> None:
    tokens = harness.submit(1, limit=4)
    harness.run()
    harness.submit(2, limit=4)
    harness.run()
    totals = harness.engine.counters.totals()
    assert (totals.prompt, totals.cached, totals.generated, totals.cut) == (2 * len(tokens), len(tokens) - 1, 8, 0)


def test_streams_take_turns_where_a_batch_has_no_room_for_all(model: LlamaModel) -> None:
    harness = Harness(model, batch_tokens=2)
    for request_id in range(3):
        harness.submit(request_id, "1 2 3 4 5 ", limit=12)
    harness.run()
    told = [{event.id for event in step.emitted} for step in harness.steps]
    both = [one | other for one, other in itertools.pairwise(told)]
    assert max(map(len, told)) == 2
    assert both.count({0, 1, 2}) > 8  # nobody waits for more than a step while all are there
    assert {harness.text(request_id) for request_id in range(3)} == {harness.text(0)}
    harness.store.close()


def test_a_short_prompt_does_not_wait_until_a_long_one_is_read(harness: Harness) -> None:
    harness.submit(1, "word " * 600)
    harness.step(2)
    short = harness.submit(2, "The capital of France is", limit=1)
    harness.step()
    assert len(short) < harness.engine._decoder.capacity // 2
    assert 2 in harness.reasons()
    assert 1 not in {event.id for step in harness.steps for event in step.prefilled}


def test_a_request_for_small_batches_gets_them_alone(harness: Harness) -> None:
    small = harness.submit(1, limit=30, batch_tokens=5)
    harness.step()
    assert [slot.stored for slot in harness.engine.slots if slot.request] == [5]
    harness.submit(2, limit=30)
    harness.run()
    prefilled = [event.id for step in harness.steps for event in step.prefilled]
    assert len(small) > harness.engine._decoder.capacity
    assert prefilled == [2, 1]
    for request_id in (1, 2):
        assert harness.text(request_id) == expected(40, len(harness.text(request_id)))
