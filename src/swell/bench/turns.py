"""Child process: how long a runner's engine takes to the first token of each turn of a conversation."""

import os
import threading
import time
from queue import SimpleQueue

from swell.bench.child import answer
from swell.bench.dialogue import GENERATED_TOKENS, Dialogue, window_of
from swell.bench.results import Setup, TurnsRequest, TurnsResult
from swell.bench.stores import loaded, open_store, real_admission
from swell.cache import INITIAL_TOKENS, StoreKind
from swell.processors.governor import Governor
from swell.processors.shares import Demands
from swell.protocol.loading import BATCH_TOKENS
from swell.protocol.messages import Generate, StepOutput
from swell.runner.engine import Engine, EngineLimits
from swell.sampling import Sampling
from swell.settings import Settings


def measure(request: TurnsRequest) -> TurnsResult:
    """Raises LlamaError, KvError or BenchError."""
    window_tokens, defaults = window_of(request.prompt_tokens, request.turns), Settings()
    setup = Setup(
        model=request.model,
        kind=StoreKind.RESERVED,
        slots=1,
        window_tokens=window_tokens,
        threads=request.threads,
        initial_tokens=min(INITIAL_TOKENS, window_tokens),
        block_tokens=defaults.kv_grow_tokens,
    )
    steps: SimpleQueue[StepOutput] = SimpleQueue()
    with loaded(setup) as model:
        store = open_store(model, setup, real_admission())
        governor = Governor(Demands.create(1), 0, exact=request.threads)
        limits = EngineLimits(batch_tokens=BATCH_TOKENS, checkpoints=defaults.checkpoints)
        engine = Engine(store, governor, limits, deliver=steps.put, reply=lambda _message: None)
        threading.Thread(target=engine.run, daemon=True).start()
        dialogue, first_s = Dialogue(request.prompt_tokens), list[float]()
        for turn in range(request.turns):
            start = time.perf_counter()
            engine.submit(
                Generate(
                    id=turn,
                    prompt=dialogue.prompt,
                    window_tokens=window_tokens,
                    limit_tokens=GENERATED_TOKENS,
                    sampling=Sampling(seed=0, temperature=0),
                )
            )
            step = steps.get()
            first_s.append(time.perf_counter() - start)
            generated = [event.token for event in step.emitted]
            while not step.finished:
                step = steps.get()
                generated += [event.token for event in step.emitted]
            dialogue.go_on(generated)
    return TurnsResult(first_token_s=first_s)


if __name__ == "__main__":
    answer(TurnsRequest, measure)
    os._exit(0)  # the engine's thread has no end
