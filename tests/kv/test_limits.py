"""The Reserved store where the kernel really limits memory: it refuses in time, so that nobody is killed."""

import dataclasses
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.control_group import new_group
from tests.tiny.layers import EPSILON, HEAD, WIDTH, add_attention, add_ends, add_feed_forward, add_norms
from tests.tiny.weights import ModelFile

RUNS = 50
LAYERS, HEADS = 16, 32
WINDOW_CELLS, SLOTS = 1024, 3
CELL_BYTES = LAYERS * 2 * HEADS * HEAD * 2  # 64 KiB, so that few tokens take much memory: 64 MiB per slot
HEADROOM_BYTES = 8 << 20
ROOM_BYTES = (10 << 20, 24 << 20)
KILLED = -9
# grows slots until it is refused, then writes all that was promised before; it ends with its parent
PROGRAM = f"""
import json, random, sys
sys.stdin.readline()
from pathlib import Path
from swell.errors import KvGrowError, to_data
from swell.kv.memory_admission import MemoryAdmission
from swell.kv.policy import GrowthPolicy
from swell.kv.reserved import ReservedStore
from swell.llama import logs
from swell.llama.context import ContextShape
from swell.llama.model import LlamaModel
from swell.memory.ledger import Ledger
from swell.memory.probe import MemoryProbe
from tests.kv.driving import fill

logs.route()
chance = random.Random(int(sys.argv[2]))
admission = MemoryAdmission(Ledger.create(1), 0, MemoryProbe(), budget_bytes=None, headroom_bytes=int(sys.argv[3]))
shape = ContextShape(cells={WINDOW_CELLS}, slots={SLOTS}, batch_tokens=256, threads=1)
policy = GrowthPolicy(initial_cells=16, block_cells=chance.choice([16, 64, 256]), max_cells={WINDOW_CELLS})
store = ReservedStore(LlamaModel(Path(sys.argv[1])), shape, policy, admission)
print("ready", flush=True)
sys.stdin.readline()
refusal = None
while refusal is None:
    slot = chance.randrange({SLOTS})
    stored = store.cells[slot].stored
    if chance.random() < 0.1:
        store.rewind(slot, chance.randrange(stored + 1))
        store.settle(slot)
    else:
        try:
            fill(store, slot, min(chance.randint(1, 64), {WINDOW_CELLS} - stored))
        except KvGrowError as error:
            refusal = error
for slot, cells in enumerate(store.cells):
    fill(store, slot, cells.granted - cells.stored)
written = sum(cells.stored for cells in store.cells)
print(json.dumps([to_data(refusal).fields, written, store.measure().resident]), flush=True)
"""


@pytest.fixture(scope="module")
def wide_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    metadata = {
        "context_length": WINDOW_CELLS,
        "embedding_length": WIDTH,
        "block_count": LAYERS,
        "feed_forward_length": WIDTH,
        "attention.head_count": HEADS,
        "attention.head_count_kv": HEADS,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "attention.layer_norm_rms_epsilon": EPSILON,
        "rope.dimension_count": HEAD,
    }
    file = ModelFile("llama", vocabulary_tokens=256, metadata=metadata)
    add_ends(file)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        add_norms(file, block, "attn_norm", "ffn_norm")
        add_attention(file, block, heads=HEADS, kv_heads=HEADS)
        add_feed_forward(file, block)
    path = tmp_path_factory.mktemp("models") / "wide.gguf"
    file.write(path)
    return path


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended; `refusal` has the fields of the error."""

    exit_code: int
    refusal: dict[str, int]
    written_cells: int
    resident_bytes: int


def run(model_path: Path, seed: int, room_bytes: int, headroom_bytes: int = HEADROOM_BYTES) -> Outcome:
    arguments = [str(model_path), str(seed), str(headroom_bytes)]
    with (
        new_group() as group,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        try:
            assert process.stdin
            assert process.stdout
            group.add(process.pid)
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"
            group.leave_bytes(room_bytes)
            output, _ = process.communicate("\n", timeout=60)
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        return Outcome(process.returncode, {}, 0, 0)
    return Outcome(0, *json.loads(output))


@pytest.mark.destructive
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_machine_refuses_growth_and_kills_nobody(wide_model: Path) -> None:
    chance = random.Random(7)
    for _ in range(RUNS):
        seed, room_bytes = chance.randrange(2**32), chance.randint(*ROOM_BYTES)
        outcome = run(wide_model, seed, room_bytes)
        case = f"seed {seed}, room {room_bytes}: {outcome}"
        assert outcome.exit_code == 0, case
        refusal = outcome.refusal
        assert refusal["needed_bytes"] > refusal["free_bytes"] >= 0, case
        assert refusal["needed_bytes"] == (refusal["to_cells"] - refusal["from_cells"]) * CELL_BYTES, case
        assert refusal["from_cells"] < refusal["to_cells"] <= refusal["max_cells"] == WINDOW_CELLS, case
        assert CELL_BYTES * outcome.written_cells <= outcome.resident_bytes < room_bytes, case
        assert HEADROOM_BYTES + outcome.resident_bytes > room_bytes / 2, case  # and not for no reason
