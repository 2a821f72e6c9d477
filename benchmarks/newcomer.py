"""`python -m benchmarks.newcomer MODEL`: a request that shares 80 tokens with a busy slot of 7,000, and one that shares
none.

How long until its first token, how long the busy slot's stream stands still meanwhile, and how much memory it takes.
"""

import contextlib
import itertools
import os
import statistics
import sys
import threading
import time
from queue import SimpleQueue

from swell.bench.results import Setup
from swell.bench.stores import loaded, open_store, real_admission
from swell.bench.tables import Section, as_text
from swell.bench.text import text
from swell.cache import StoreKind
from swell.memory.resident import process_resident
from swell.processors.governor import Governor
from swell.processors.shares import Demands
from swell.protocol.loading import BATCH_TOKENS
from swell.protocol.messages import Generate, Shrink, ShrinkLevel, StepOutput
from swell.runner.engine import Engine, EngineLimits
from swell.sampling import Sampling

LONG, SHARED, OWN = 7000, 80, 200
ROUNDS = 5
WINDOW = 8192


class Measured:
    """An engine in a thread, and when its steps came."""

    def __init__(self, model: str) -> None:
        setup = Setup(
            model=model,
            kind=StoreKind.RESERVED,
            slots=4,
            window_tokens=WINDOW,
            threads=2,
            initial_tokens=256,
            block_tokens=256,
        )
        self._steps: SimpleQueue[tuple[float, StepOutput]] = SimpleQueue()
        self._replies: SimpleQueue[object] = SimpleQueue()
        self._ids = itertools.count(1)
        self._model = contextlib.ExitStack()
        self.store = open_store(self._model.enter_context(loaded(setup)), setup, real_admission())
        self._engine = Engine(
            self.store,
            Governor(Demands.create(1), 0, exact=2),
            EngineLimits(batch_tokens=BATCH_TOKENS),
            deliver=lambda step: self._steps.put((time.perf_counter(), step)),
            reply=self._replies.put,
        )
        threading.Thread(target=self._engine.run, daemon=True).start()

    def start(self, prompt: list[int], limit: int) -> int:
        number = next(self._ids)
        sampling = Sampling(seed=number, temperature=0)
        order = Generate(id=number, prompt=prompt, window_tokens=WINDOW, limit_tokens=limit, sampling=sampling)
        self._engine.submit(order)
        return number

    def until_emitted(self, number: int) -> list[float]:
        """The times of all steps until generation `number` has its first token."""
        times = []
        while True:
            at, step = self._steps.get()
            times.append(at)
            if any(event.id == number for event in step.emitted):
                return times

    def forget(self) -> None:
        """Idle slots lose what they have cached."""
        self._engine.submit(Shrink(next(self._ids), ShrinkLevel.PREFIXES))
        self._replies.get()


def main(model: str) -> None:
    measured = Measured(model)
    beginning = text(LONG)
    measured.until_emitted(measured.start(beginning, 10**6))
    rows: dict[str, list[tuple[float, float, float]]] = {"alone": [], "shared": []}
    for round_ in range(ROUNDS):
        for kind in rows if round_ % 2 else reversed(rows):
            first = beginning[:SHARED] if kind == "shared" else text(SHARED, 5 + round_)
            measured.forget()
            before = process_resident().total_bytes
            start = time.perf_counter()
            times = measured.until_emitted(measured.start([*first, *text(OWN, 1000 * (round_ + 1))], 1))
            taken = process_resident().total_bytes - before
            gap_s = max(after - earlier for earlier, after in itertools.pairwise([start, *times]))
            rows[kind].append((times[-1] - start, gap_s, taken / (measured.store.bytes_of(SHARED + OWN))))
    measured.forget()
    start = time.perf_counter()
    measured.until_emitted(measured.start(text(BATCH_TOKENS, 77), 1))
    chunk_s = time.perf_counter() - start
    table = [(kind, *(f"{statistics.median(column):.2f}" for column in zip(*rows[kind], strict=True))) for kind in rows]
    header = ("newcomer", "first token s", "worst gap s", "memory / own cells")
    note = f"A chunk of {BATCH_TOKENS} tokens beside the busy slot: {chunk_s:.2f} s. Medians of {ROUNDS}."
    sys.stdout.write(
        as_text([Section(title=f"{SHARED} shared of {LONG}", header=header, rows=tuple(table), note=note)])
    )


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    os._exit(0)  # the engine's thread has no end
