"""Adapters lie beside the matrices to which they are added: on workers, too."""

from pathlib import Path

import pytest
from tests.devices.worker import Worker
from tests.kv.driving import BATCH_TOKENS, generate
from tests.tiny.adapter import write_adapter

from swell.devices import HOST_ONLY, LayersOn, Placement
from swell.kv.admission import OpenAdmission
from swell.kv.copied import CopiedStore
from swell.kv.policy import GrowthPolicy
from swell.llama.context import ContextShape
from swell.llama.devices import worker_devices
from swell.llama.model import LlamaModel

pytestmark = pytest.mark.devices

SHAPE = ContextShape(cells=1024, slots=1, batch_tokens=BATCH_TOKENS, threads=1)
POLICY = GrowthPolicy(initial_cells=256, block_cells=256, max_cells=1024)
PROMPT = list(range(1000, 1250))


@pytest.mark.parametrize("layers", [12, 31])
def test_an_adapter_on_a_worker(workers: tuple[Worker, Worker], model_path: Path, tmp_path: Path, layers: int) -> None:
    path = write_adapter(tmp_path / "lora.gguf", model_path, strength=0.2, parts=("attn_q", "ffn_down"))
    address = workers[0].address
    placement = Placement(shares=(LayersOn(address, layers),))
    texts = []
    for placed in (HOST_ONLY, placement):
        with LlamaModel(model_path, placed, worker_devices(address)) as model:
            before, copied_bytes = sum(model.device_bytes.values()), model.copied_bytes
            model.add_adapter(path)
            taken = sum(model.device_bytes.values()) - before
            assert taken + model.copied_bytes - copied_bytes >= path.stat().st_size
            assert (taken > 0) is (placed is placement)
            store = CopiedStore(model, SHAPE, POLICY, OpenAdmission())
            texts.append(generate(store, 0, PROMPT, 20))
            store.close()
    assert texts[0] == texts[1]
