"""A generation that another runner began goes on as if it had never been interrupted."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.governing import fixed

from swell.kv.admission import OpenAdmission
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama.context import ContextShape
from swell.llama.model import LlamaModel
from swell.protocol.messages import FinishReason, Generate, StepOutput
from swell.runner.engine import Engine, EngineLimits
from swell.runner.window import RECALL_TOKENS_MAX, forgotten
from swell.sampling import Sampling

SCHEMA = '{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}'
GREEDY = Sampling(seed=0, temperature=0)
WARM = Sampling(seed=7, temperature=1, repeat_penalty=1.2, repeat_last_n=64)
STORIES = [f"{number}. Once upon a time there was a {who} who" for number, who in enumerate(["king", "dog", "cook"])]


class Runner:
    """Stands for a runner process: an engine whose cache knows nothing at first."""

    def __init__(self, model: LlamaModel) -> None:
        shape = ContextShape(cells=1024, slots=2, batch_tokens=64, threads=1)
        policy = GrowthPolicy(initial_cells=64, block_cells=64, max_cells=1024)
        self.store = ReservedStore(model, shape, policy, OpenAdmission())
        self.steps: list[StepOutput] = []
        limits = EngineLimits(batch_tokens=shape.batch_tokens)
        self.engine = Engine(self.store, fixed(2), limits, deliver=self.steps.append, reply=lambda _message: None)

    def generate(self, requests: list[Generate]) -> dict[int, list[int]]:
        """The tokens of each; every slot is emptied first."""
        self.steps.clear()
        for slot in self.engine.slots:
            self.store.rewind(slot.index, 0)
            slot.tokens.clear()
        for request in requests:
            self.engine.submit(request)
        while sum(len(step.finished) for step in self.steps) < len(requests):
            self.engine._take_work()
            self.engine.step()
        return {
            request.id: [event.token for step in self.steps for event in step.emitted if event.id == request.id]
            for request in requests
        }

    def reasons(self) -> set[FinishReason]:
        return {event.reason for step in self.steps for event in step.finished}


@pytest.fixture(scope="module")
def runner(model: LlamaModel) -> Iterator[Runner]:
    made = Runner(model)
    yield made
    made.store.close()


def ask(model: LlamaModel, text: str, **changes: Any) -> Generate:
    """A request to continue `text` greedily for 60 tokens, but for `changes`."""
    values: dict[str, Any] = {"id": 1, "window_tokens": 1024, "limit_tokens": 60, "sampling": GREEDY, **changes}
    return Generate(prompt=model.vocabulary.tokenize(text, add_special=True, parse_special=False), **values)


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
@pytest.mark.parametrize("story", STORIES)
def test_text_goes_on_the_same(runner: Runner, model: LlamaModel, story: str, sampling: Sampling) -> None:
    whole = runner.generate([ask(model, story, sampling=sampling)])[1]
    for cut in (1, 17, 42, len(whole) - 1):
        rest = runner.generate([ask(model, story, sampling=sampling, emitted=whole[:cut])])[1]
        assert whole[:cut] + rest == whole


def test_a_document_goes_on_where_it_was(runner: Runner, model: LlamaModel) -> None:
    whole = runner.generate([ask(model, "A person:", sampling=WARM, schema=SCHEMA, limit_tokens=30)])[1]
    for cut in (1, 5, len(whole) - 1):
        again = ask(model, "A person:", sampling=WARM, schema=SCHEMA, limit_tokens=30, emitted=whole[:cut])
        assert whole[:cut] + runner.generate([again])[1] == whole


def test_what_the_window_forgot_stays_forgotten(runner: Runner, model: LlamaModel) -> None:
    whole = runner.generate([ask(model, STORIES[0], window_tokens=40, keep_tokens=4, limit_tokens=90)])[1]
    assert runner.engine.counters.totals().cut > 0
    for cut in (10, 30, 60, 85):
        again = ask(model, STORIES[0], window_tokens=40, keep_tokens=4, limit_tokens=90, emitted=whole[:cut])
        assert whole[:cut] + runner.generate([again])[1] == whole


def test_two_streams_go_on_side_by_side(runner: Runner, model: LlamaModel) -> None:
    requests = [ask(model, story, id=number) for number, story in enumerate(STORIES[:2])]
    whole = runner.generate(requests)
    cuts = [23, 9]
    again = [
        ask(model, story, id=number, emitted=whole[number][: cuts[number]]) for number, story in enumerate(STORIES[:2])
    ]
    rest = runner.generate(again)
    assert {number: whole[number][: cuts[number]] + rest[number] for number in rest} == whole


def test_the_limit_counts_what_was_there(runner: Runner, model: LlamaModel) -> None:
    whole = runner.generate([ask(model, STORIES[0], limit_tokens=12)])[1]
    assert len(runner.generate([ask(model, STORIES[0], limit_tokens=12, emitted=whole[:11])])[1]) == 1
    assert runner.reasons() == {FinishReason.LENGTH}


def test_very_much_is_read_at_once(runner: Runner, model: LlamaModel) -> None:
    emitted = model.vocabulary.tokenize(" ".join(map(str, range(400))), add_special=False, parse_special=False)
    emitted = emitted[: RECALL_TOKENS_MAX + 50]
    rest = runner.generate([ask(model, "Count:", limit_tokens=len(emitted) + 5, emitted=emitted)])[1]
    assert len(rest) == 5
    assert len(runner.steps) < 10


def test_half_of_what_is_not_kept_is_forgotten() -> None:
    assert forgotten(100, 10, 100) == range(10, 54)
    assert forgotten(4, 90, 4) == range(2, 3)
