"""The Copied store on the real model: what moves, what it costs, and that nothing is lost."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.counting import PROMPT, expected
from tests.kv.driving import fill, generate, write

from swell.errors import ContextError, StateError
from swell.kv.admission import OpenAdmission
from swell.kv.capacity import CacheLostError
from swell.kv.copied import CopiedStore
from swell.kv.policy import GrowthPolicy
from swell.llama.context import Context, ContextShape
from swell.llama.model import LlamaModel

SHAPE = ContextShape(cells=8192, slots=2, batch_tokens=256, threads=1)
POLICY = GrowthPolicy(initial_cells=64, block_cells=64, max_cells=8192)


@pytest.fixture
def store(model: LlamaModel) -> Iterator[CopiedStore]:
    opened = CopiedStore(model, SHAPE, POLICY, OpenAdmission())
    yield opened
    opened.close()


def prompt_of(model: LlamaModel, text: str = PROMPT) -> list[int]:
    return model.vocabulary.tokenize(text, add_special=True, parse_special=False)


def text_of(model: LlamaModel, tokens: list[int]) -> str:
    return b"".join(model.vocabulary.piece(token) for token in tokens).decode()


def test_counts_on_over_growths(model: LlamaModel, store: CopiedStore) -> None:
    fill(store, 0, 200)  # another conversation in the same stream
    text = text_of(model, generate(store, 1, prompt_of(model), 400))
    assert text == expected(40, len(text))
    assert store.capacity_cells >= 200 + store.cells[1].stored
    assert store.copied_bytes > 0
    assert store.context.positions(0) == (0, 199)


def test_copying_is_linear_in_the_final_length(model: LlamaModel) -> None:
    shape = ContextShape(cells=8192, slots=1, batch_tokens=256, threads=1)
    store = CopiedStore(model, shape, GrowthPolicy(initial_cells=256, block_cells=256, max_cells=8192), OpenAdmission())
    sizes = [store.capacity_cells]
    while store.cells[0].stored < 8192:
        # cells need not be computed to be moved: their positions are what the state consists of
        fill(store, 0, 256) if store.cells[0].stored < 1024 else _pretend(store, 256)
        sizes.append(store.capacity_cells)
    assert sizes == sorted(sizes)
    moved_cells = sum(size for size, following in itertools.pairwise(sizes) if following != size)
    assert 2 * moved_cells <= 4 * 8192
    assert store.copied_bytes <= 2 * moved_cells * 23_100
    store.close()


def _pretend(store: CopiedStore, cells: int) -> None:
    store.prepare(0, cells)
    store.advance(0, cells)


def test_gives_memory_back_when_little_is_left(model: LlamaModel, store: CopiedStore) -> None:
    write(store, 1, prompt_of(model))
    fill(store, 0, 1500)
    large = store.capacity_cells
    store.rewind(0, 0)
    store.compact([0, 0])
    assert store.capacity_cells <= large // 3
    assert store.measure().resident == store.capacity_cells * 23_040
    stored = store.cells[1].stored
    assert store.context.positions(1) == (0, stored - 1)
    store.rewind(1, stored - 1)
    assert text_of(model, generate(store, 1, prompt_of(model)[-1:], 12)).startswith("40 41 42")


def test_cells_that_do_not_arrive_are_forgotten(
    model: LlamaModel, store: CopiedStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lose(_self: Context, _data: object) -> None:
        raise StateError("lost")

    write(store, 1, prompt_of(model))
    monkeypatch.setattr(Context, "restore_all", lose)
    store.ensure(1, 2000)
    assert [cells.stored for cells in store.cells] == [0, 0]
    assert store.context.positions(1) == (-1, -1)
    assert "computed again" in caplog.text


def test_a_failed_growth_leaves_the_old_context_working(model_path: Path) -> None:
    """A real failure: the process may not have more address space, in the middle of a generation."""
    script = f"""
import resource
from pathlib import Path
from swell.errors import ContextError, KvGrowError
from tests.kv.test_copied import *

model = LlamaModel(Path({str(model_path)!r}))
store = CopiedStore(model, SHAPE, POLICY, OpenAdmission())
first = generate(store, 1, prompt_of(model), 60)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (120 << 20), size + (120 << 20)))
try:
    store.ensure(0, 8000)
except KvGrowError as error:
    assert isinstance(error.__cause__, ContextError), error.__cause__
    assert (error.from_cells, error.to_cells, error.max_cells) == (64, 8000, 8192), error
    assert error.needed_bytes > 7000 * 23_040
    print("refused")
text = text_of(model, first + generate(store, 1, first[-1:], 60))
assert text == expected(40, len(text)), text
print("went on")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.stdout.split("\n") == ["refused", "went on", ""], run.stderr


def test_a_store_that_lost_its_context_is_not_used_any_more(
    model: LlamaModel, store: CopiedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller's process ends; what it must not do is to go on with memory that was freed."""

    def refuse(self: CopiedStore, capacity: int) -> Context:
        raise ContextError(capacity, 2, "no memory")

    write(store, 1, prompt_of(model))
    monkeypatch.setattr(CopiedStore, "_create", refuse)
    with pytest.raises(CacheLostError, match="no cache can be had"):
        store.ensure(0, 8000)
