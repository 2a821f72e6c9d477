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


def generate(model: LlamaModel, requests: list[Generate]) -> dict[int, list[int]]:
    """Their tokens, from an engine with eight slots and nothing cached."""
    shape = ContextShape(cells=512, slots=STREAMS, batch_tokens=256, threads=1)
    policy = GrowthPolicy(initial_cells=64, block_cells=64, max_cells=512)
    store = ReservedStore(model, shape, policy, OpenAdmission())
    steps: list[StepOutput] = []
    limits = EngineLimits(batch_tokens=shape.batch_tokens)
    engine = Engine(store, fixed(2), limits, deliver=steps.append, reply=lambda _message: None)
    for request in requests:
        engine.submit(request)
    while sum(len(step.finished) for step in steps) < len(requests):
        engine._take_work()
        engine.step()
    store.close()
    return {
        request.id: [event.token for step in steps for event in step.emitted if event.id == request.id]
        for request in requests
    }


def test_alone_and_among_eight(model: LlamaModel) -> None:
    requests = [
        Generate(
            id=number,
            prompt=model.vocabulary.tokenize(f"{number}. Once upon a time", add_special=True, parse_special=False),
            window_tokens=512,
            limit_tokens=TOKENS,
            sampling=Sampling(seed=number, temperature=1),
        )
        for number in range(STREAMS)
    ]
    together = generate(model, requests)
    for request in requests:
        assert generate(model, [request])[request.id] == together[request.id]
    assert len(set(map(tuple, together.values()))) == STREAMS
