"""The same seed and prompt give the same text, whoever else is in the batch."""

from tests.governing import fixed

from swell.kv.admission import OpenAdmission
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama.context import ContextShape
from swell.llama.model import LlamaModel
from swell.protocol.messages import Generate, StepOutput
from swell.runner.engine import Engine, EngineLimits
from swell.sampling import Sampling

STREAMS, TOKENS = 8, 40


def generate(model: LlamaModel, wishes: list[Generate]) -> dict[int, list[int]]:
    """Their tokens, from an engine with eight slots and nothing cached."""
    shape = ContextShape(cells=512, slots=STREAMS, batch_tokens=256, threads=2)
    policy = GrowthPolicy(initial_cells=64, block_cells=64, max_cells=512)
    store = ReservedStore(model, shape, policy, OpenAdmission())
    steps: list[StepOutput] = []
    limits = EngineLimits(batch_tokens=shape.batch_tokens)
    engine = Engine(store, model.vocabulary, fixed(2), limits, deliver=steps.append, reply=print)
    for wish in wishes:
        engine.submit(wish)
    while sum(len(step.finished) for step in steps) < len(wishes):
        engine._take_work()
        engine.step()
    store.close()
    return {
        wish.id: [event.token for step in steps for event in step.emitted if event.id == wish.id] for wish in wishes
    }


def test_alone_and_among_eight(model: LlamaModel) -> None:
    wishes = [
        Generate(
            id=number,
            prompt=model.vocabulary.tokenize(f"{number}. Once upon a time", add_special=True, parse_special=False),
            window_tokens=512,
            limit_tokens=TOKENS,
            sampling=Sampling(seed=number, temperature=1),
        )
        for number in range(STREAMS)
    ]
    together = generate(model, wishes)
    for wish in wishes:
        assert generate(model, [wish])[wish.id] == together[wish.id]
    assert len(set(map(tuple, together.values()))) == STREAMS
