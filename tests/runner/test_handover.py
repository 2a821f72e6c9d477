"""Cells that move to the next runner, and what happens to those that can't."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.runner.harness import Harness
from tests.runner.limited import LimitedAdmission

from swell.llama.model import LlamaModel
from swell.runner.handover import restore, save


@pytest.fixture
def saved(model: LlamaModel, tmp_path: Path) -> Path:
    """What a runner left that had two conversations."""
    path = tmp_path / "cells"
    path.touch()
    harness = Harness(model)
    harness.submit(1, limit=20)
    harness.submit(2, "Once upon a time there was a lighthouse keeper", limit=10)
    harness.run()
    assert save(path, harness.store, harness.engine.slots) == sum(slot.stored for slot in harness.engine.slots)
    harness.store.close()
    return path


@pytest.fixture
def start(model: LlamaModel) -> Iterator[Callable[..., Harness]]:
    made: list[Harness] = []

    def begin(admission: LimitedAdmission | None = None) -> Harness:
        made.append(Harness(model, admission))
        return made[-1]

    yield begin
    for harness in made:
        harness.store.close()


def test_nothing_is_computed_again(saved: Path, start: Callable[..., Harness]) -> None:
    fresh, heir = start(), start()
    assert restore(saved, heir.store, heir.engine.slots) > 0
    for harness in (fresh, heir):
        tokens = harness.submit(1, limit=20)
        harness.run()
    (prefilled,) = [event for step in heir.steps for event in step.prefilled]
    assert prefilled.cached_tokens == len(tokens) - 1
    assert heir.text(1) == fresh.text(1)


@pytest.mark.parametrize("keep", [0, 10, 5000, -1])
def test_what_is_damaged_is_left_out(saved: Path, start: Callable[..., Harness], keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    heir, fresh = start(), start()
    restore(saved, heir.store, heir.engine.slots)
    for harness in (fresh, heir):
        harness.submit(2, "Once upon a time there was a lighthouse keeper", limit=10)
        harness.run()
    assert heir.text(2) == fresh.text(2)


def test_there_may_be_no_memory_for_it(saved: Path, start: Callable[..., Harness]) -> None:
    admission = LimitedAdmission()
    heir = start(admission)
    admission.limit_bytes = 0
    assert restore(saved, heir.store, heir.engine.slots) <= 64
    admission.limit_bytes = 1 << 40
    heir.submit(1, limit=5)
    heir.run()
    assert heir.failures() == {}
