"""Who waits, who is paused, who fails and who goes on when memory is refused: the policy, without a model."""

import dataclasses
from collections import deque
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runner.bare import CountingStore, bare_request

from swell.errors import KvGrowError
from swell.protocol.messages import NeedMemory
from swell.runner.counters import Counters
from swell.runner.memory import SlotMemory
from swell.runner.planning import plan
from swell.runner.shortages import Shortages
from swell.runner.slot_choice import choose_slot
from swell.runner.slots import EngineRequest, MemoryWait, Slot

BATCH, BLOCK = 64, 32
PATIENCE = 5000


@dataclasses.dataclass
class Case:
    """Requests in the order of their arrival: the tokens of each prompt, and how many there are at its end."""

    prompts: list[int]
    ends: list[int]
    slots: int
    limit_cells: int
    wait_s: float = 0


class Simulation:
    """An engine that computes nothing: tokens are stored when they are planned. A step takes a second."""

    def __init__(self, case: Case) -> None:
        self.store = CountingStore(case.slots, case.limit_cells, BLOCK)
        self.slots = [Slot(index, cells) for index, cells in enumerate(self.store.cells)]
        self.counters = Counters()
        self.needs: list[NeedMemory] = []
        self.now_s = 0.0
        memory = SlotMemory(self.slots, self.store, self.counters)
        self.shortages = Shortages(
            self.slots, memory, self.counters, ask=self.needs.append, wait_s=case.wait_s, clock=lambda: self.now_s
        )
        self.ends = case.ends
        self.waiting = deque(bare_request(index, tokens) for index, tokens in enumerate(case.prompts))
        self.finished: list[int] = []
        self.failed: dict[int, KvGrowError] = {}
        self.started: list[EngineRequest] = []
        self._first = 0
        self._memory = memory

    @property
    def busy(self) -> list[EngineRequest]:
        return [slot.request for slot in self.slots if slot.request is not None]

    def step(self) -> None:
        self.now_s += 1
        while self.waiting and (choice := choose_slot(self.slots, self.waiting[0].known, lambda _slot, _tokens: 0)):
            self._occupy(choice.slot, self.waiting.popleft())
        for slot in self.slots:
            if slot.request is not None:
                self._end(slot, self.shortages.grant(slot, min(len(slot.tokens), slot.stored + BATCH)))
        parts, self._first = plan(self.slots, BATCH, self._first)
        for part in parts:
            slot = part.slot
            slot.cells.stored += part.size
            assert slot.stored <= slot.cells.granted
            if part.logits_index is not None and len(slot.tokens) < self.ends[part.request.id]:
                slot.tokens.append(-1)
            elif part.logits_index is not None:
                self.finished.append(part.request.id)
                self._release(slot)
        assert self.store.granted <= self.store.limit_cells

    def run(self) -> None:
        self.step_until(lambda: not self.busy and not self.waiting)

    def step_until(self, condition: Callable[[], object]) -> None:
        for _ in range(PATIENCE):
            if condition():
                return
            self.step()
        raise AssertionError("it does not happen")

    def _occupy(self, slot: Slot, request: EngineRequest) -> None:
        slot.request = request
        self.started.append(request)
        request.started_ns = len(self.started)
        self.store.rewind(slot.index, slot.common_prefix(request.known))
        slot.tokens = request.known
        try:
            self._memory.grant(slot, len(slot.tokens))
        except KvGrowError as error:
            self._end(slot, self.shortages.refused(slot, request, len(slot.tokens), error))

    def _end(self, slot: Slot, error: KvGrowError | None) -> None:
        if error is not None and slot.request is not None:
            self.failed[slot.request.id] = error
            self._release(slot)

    def _release(self, slot: Slot) -> None:
        slot.request = None
        del slot.tokens[slot.stored :]
        self.shortages.resume_eldest()


@st.composite
def cases(draw: st.DrawFn, wait_s: float = 0) -> Case:
    prompts = draw(st.lists(st.integers(1, 200), min_size=1, max_size=6))
    ends = [tokens + draw(st.integers(0, 200)) for tokens in prompts]
    return Case(prompts, ends, draw(st.integers(1, 4)), draw(st.integers(1, 800)), wait_s)


def paused(simulation: Simulation) -> list[EngineRequest]:
    return [one for one in simulation.busy if one.shortage is not None and one.shortage.wait is MemoryWait.PAUSE]


@settings(max_examples=300)
@given(case=st.one_of(cases(), cases(wait_s=5)))
def test_whoever_fits_alone_is_answered_and_only_others_fail(case: Case) -> None:
    simulation = Simulation(case)
    simulation.run()
    fit = [index for index, end in enumerate(case.ends) if end <= case.limit_cells]
    assert sorted(simulation.finished) == fit
    assert sorted([*simulation.finished, *simulation.failed]) == list(range(len(case.ends)))
    assert all(error.to_cells > case.limit_cells for error in simulation.failed.values())


@given(case=cases())
def test_the_eldest_is_never_paused(case: Case) -> None:
    simulation = Simulation(case)

    def check() -> bool:
        if simulation.busy:
            eldest = min(simulation.busy, key=lambda request: request.started_ns)
            assert eldest not in paused(simulation) or (eldest.shortage and eldest.shortage.until_s == 0)
        return not simulation.busy and not simulation.waiting

    simulation.step_until(check)


@given(case=cases())
def test_nobody_is_asked_if_nothing_is_waited_for(case: Case) -> None:
    simulation = Simulation(case)
    simulation.run()
    assert simulation.needs == []


@given(case=cases(wait_s=5))
def test_others_are_asked_before_anybody_is_paused_or_fails(case: Case) -> None:
    simulation = Simulation(case)
    simulation.run()
    asked = {need.id for need in simulation.needs}
    assert all(need.missing_bytes > 0 for need in simulation.needs)
    assert set(simulation.failed) <= asked
    assert asked or simulation.counters.totals().pauses == 0


def two_running(ends: list[int], wait_s: float = 0) -> Simulation:
    """Two requests with prompts of 120 and 100 tokens that have all the memory there is, 128 cells each."""
    simulation = Simulation(Case([120, 100], ends, slots=2, limit_cells=256, wait_s=wait_s))
    simulation.step()
    assert [slot.cells.granted for slot in simulation.slots] == [128, 128]
    return simulation


def test_the_younger_is_paused_and_computes_its_cells_again_when_the_elder_has_ended() -> None:
    simulation = two_running([200, 200])
    simulation.step_until(lambda: paused(simulation))
    elder, younger = simulation.slots
    assert [request.id for request in paused(simulation)] == [1]
    assert (younger.stored, len(younger.tokens) > 100) == (0, True)
    assert elder.shortage is None
    simulation.run()
    assert simulation.finished == [0, 1]
    assert simulation.counters.totals().pauses == 1


def test_one_that_waits_for_other_models_keeps_its_cells_and_the_others_go_on() -> None:
    simulation = two_running([200, 120], wait_s=1000)
    simulation.step_until(lambda: simulation.needs)
    (need,) = simulation.needs
    waiting, other = simulation.slots
    stored, others = waiting.stored, other.stored
    assert (need.id, stored, others < 120) == (0, 128, True)
    simulation.step()
    assert (waiting.stored, other.stored) == (stored, others + 1)


def test_what_is_offered_is_taken_at_the_next_step() -> None:
    simulation = two_running([200, 120], wait_s=1000)
    simulation.step_until(lambda: simulation.needs)
    simulation.store.limit_cells = 1000
    simulation.step()
    assert simulation.slots[0].shortage is not None
    for request_id in (77, 0):  # the first is nobody's, as after a cancel
        simulation.shortages.end_wait(request_id)
    simulation.step()
    assert simulation.slots[0].shortage is None
    simulation.run()
    assert sorted(simulation.finished) == [0, 1]
    assert simulation.counters.totals().pauses == 0


def test_a_wait_ends_by_itself() -> None:
    simulation = Simulation(Case([300], [300], slots=1, limit_cells=256, wait_s=5))
    simulation.step()
    assert simulation.shortages.next_end_s() == simulation.now_s + 5
    for _ in range(4):
        simulation.step()
    assert simulation.failed == {}
    simulation.step()
    assert simulation.failed[0].free_bytes == 256
    assert len(simulation.needs) == 1


def test_nobody_is_paused_in_vain() -> None:
    """An elder request needs more than it and the younger one have together: it fails, the younger one goes on."""
    simulation = Simulation(Case([300, 20], [300, 60], slots=2, limit_cells=256, wait_s=5))
    simulation.run()
    assert (simulation.finished, list(simulation.failed)) == ([1], [0])
    assert simulation.counters.totals().pauses == 0


def test_the_youngest_is_paused_first() -> None:
    simulation = Simulation(Case([60, 60, 60], [200, 90, 90], slots=3, limit_cells=192))
    simulation.step_until(lambda: paused(simulation))
    assert [request.id for request in paused(simulation)] == [2]


def test_an_elder_that_has_no_cells_is_not_waited_for() -> None:
    """It waits for other models; its end would give nothing."""
    simulation = Simulation(Case([300, 100], [300, 400], slots=2, limit_cells=256, wait_s=1000))
    simulation.step_until(lambda: len(simulation.needs) == 2)
    simulation.shortages.end_wait(1)
    simulation.step()
    assert (list(simulation.failed), simulation.counters.totals().pauses) == ([1], 0)
