"""An engine on the real model, without a process around it, driven step by step."""

from pathlib import Path
from typing import Any

from tests.counting import PROMPT
from tests.governing import fixed

from swell.errors import SwellError, from_data
from swell.kv.admission import Admission, OpenAdmission
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.kv.store import BookedStore
from swell.llama.context import ContextShape
from swell.llama.model import LlamaModel
from swell.protocol.messages import FinishReason, Generate, GrantChanged, NeedMemory, Shrunk, SlotsSaved, StepOutput
from swell.runner.engine import Engine, EngineLimits
from swell.runner.prefix_cache import PrefixCache
from swell.sampling import Sampling

SHAPE = ContextShape(cells=1024, slots=3, batch_tokens=64, threads=1)
POLICY = GrowthPolicy(initial_cells=64, block_cells=32, max_cells=1024)
GREEDY = Sampling(seed=0, temperature=0)


class Harness:
    """An engine, stepped by hand, and what it delivered."""

    def __init__(
        self,
        model: LlamaModel,
        admission: Admission | None = None,
        *,
        memory_wait_s: float = 0,
        batch_tokens: int = SHAPE.batch_tokens,
        checkpoints: int = 0,
        store: BookedStore | None = None,
        prefix_folder: Path | None = None,
        prefix_bytes: int = 1 << 30,
    ) -> None:
        self.model = model
        self.store = store or ReservedStore(model, SHAPE, POLICY, admission or OpenAdmission())
        self.steps: list[StepOutput] = []
        self.needs: list[NeedMemory] = []
        self.shrunk: list[int] = []
        self.grants: list[GrantChanged] = []
        self.engine = Engine(
            self.store,
            fixed(SHAPE.threads),
            EngineLimits(batch_tokens=batch_tokens, checkpoints=checkpoints, memory_wait_s=memory_wait_s),
            deliver=self.steps.append,
            reply=self._note,
            prefixes=PrefixCache(prefix_folder, prefix_bytes, "tests", self.store) if prefix_folder else None,
        )

    def _note(self, message: NeedMemory | Shrunk | SlotsSaved | GrantChanged) -> None:
        match message:
            case NeedMemory():
                self.needs.append(message)
            case GrantChanged():
                self.grants.append(message)
            case _:
                self.shrunk.append(message.id)

    def submit(
        self, request_id: int, prompt: str = PROMPT, *, limit: int = 40, window: int = 1024, **more: Any
    ) -> list[int]:
        tokens = self.model.vocabulary.tokenize(prompt, add_special=True, parse_special=False)
        return self.submit_tokens(request_id, tokens, limit=limit, window=window, **more)

    def submit_tokens(
        self, request_id: int, tokens: list[int], *, limit: int = 40, window: int = 1024, **more: Any
    ) -> list[int]:
        self.engine.submit(
            Generate(id=request_id, prompt=tokens, window_tokens=window, limit_tokens=limit, sampling=GREEDY, **more)
        )
        return tokens

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            if self.is_busy or not self.engine._inbox.empty():
                self.engine._take_work()
            self.engine.step()

    def run(self) -> None:
        self.step()
        for _ in range(2000):
            if not self.is_busy:
                return
            self.step()
        raise AssertionError("the engine does not come to an end")

    @property
    def is_busy(self) -> bool:
        return (
            self.engine._preparer.is_busy
            or bool(self.engine._waiting)
            or any(slot.request for slot in self.engine.slots)
        )

    def text(self, request_id: int) -> str:
        pieces = [event.piece for step in self.steps for event in step.emitted if event.id == request_id]
        return b"".join(pieces).decode()

    def emitted(self, request_id: int) -> list[int]:
        return [event.token for step in self.steps for event in step.emitted if event.id == request_id]

    def cached_tokens(self, request_id: int) -> int:
        """How many tokens of its prompt were not computed."""
        (event,) = (event for step in self.steps for event in step.prefilled if event.id == request_id)
        return event.cached_tokens

    def failures(self) -> dict[int, SwellError]:
        return {event.id: from_data(event.kind, event.fields) for step in self.steps for event in step.failed}

    def reasons(self) -> dict[int, FinishReason]:
        return {event.id: event.reason for step in self.steps for event in step.finished}
