"""What is done where llama.cpp was compiled wrongly for a processor's matrix units, and what other layouts cost."""

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from swell.llama import amx

MB = 1_000_000
ROUNDING_BYTES = 8 * MB


is_broken = amx.is_broken.__wrapped__


@pytest.fixture(autouse=True)
def _found_out() -> None:
    """Before these tests load models, with which OpenMP starts: it doesn't survive a fork."""
    amx.is_broken()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _end() -> None:
    os._exit(0)


@pytest.mark.parametrize(("compute", "broken"), [(_die, True), (_end, False)])
def test_units_that_end_the_process_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, compute: Callable[[], None], broken: bool
) -> None:
    monkeypatch.setattr(amx, "is_compiled_in", lambda: True)
    monkeypatch.setattr(amx, "_compute", compute)
    with caplog.at_level(logging.WARNING):
        assert is_broken() == broken
    assert [record.levelname for record in caplog.records] == ["WARNING"] * broken


def test_nothing_is_computed_where_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amx, "is_compiled_in", lambda: False)
    monkeypatch.setattr(amx, "_compute", _die)
    assert not is_broken()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with 38 MB of weights in Q4_0, which llama.cpp rearranges on most processors."""
    path = tmp_path_factory.mktemp("large") / "large.gguf"
    writer, width, wide = gguf.GGUFWriter(path, "llama"), 512, 2048
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_block_count(16)
    writer.add_feed_forward_length(wide)
    writer.add_head_count(8)
    writer.add_head_count_kv(8)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(64)
    writer.add_tokenizer_model("none")

    def add(name: str, *shape: int) -> None:
        values = gguf.quantize(np.ones(shape, np.float32), gguf.GGMLQuantizationType.Q4_0)
        writer.add_tensor(f"{name}.weight", values, raw_dtype=gguf.GGMLQuantizationType.Q4_0)

    add("token_embd", 64, width)
    add("output", 64, width)
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    for block in (f"blk.{layer}." for layer in range(16)):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(block + name, width, width)
        add(block + "ffn_gate", wide, width)
        add(block + "ffn_up", wide, width)
        add(block + "ffn_down", width, wide)
        writer.add_tensor(block + "attn_norm.weight", np.ones(width, np.float32))
        writer.add_tensor(block + "ffn_norm.weight", np.ones(width, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


PROGRAM = """
import json, sys
from pathlib import Path
from swell.llama import amx, logs
from swell.llama.model import LlamaModel
from swell.memory.resident import process_resident
from swell.runner.stats import process_memory
path, broken, maps_weights = Path(sys.argv[1]), sys.argv[2] == "True", sys.argv[3] == "True"
logs.route()
amx.is_broken = lambda: broken  # nothing is computed here: loading works even where computing would end the process
before = process_resident()
with LlamaModel(path, maps_weights=maps_weights) as model:
    after, parts = process_resident(), process_memory(model, kv_bytes=0)
    print(json.dumps({
        "written": after.own_bytes - before.own_bytes, "mapped": after.mapped_bytes, "before": before.total_bytes,
        "copied": model.copied_bytes, "pages": model.mapped_bytes, "weights": model.weights_bytes,
        "resident": parts.weights_bytes, "other": parts.other_bytes,
    }))
"""


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("maps_weights", [False, True])
def test_weights_in_another_layout_are_memory_of_the_process(large: Path, *, broken: bool, maps_weights: bool) -> None:
    """In a process of its own, as in a runner: one that has freed memory before needn't ask the kernel for more."""
    command = [sys.executable, "-c", PROGRAM, str(large), str(broken), str(maps_weights)]
    seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert seen["copied"] == pytest.approx(seen["written"], abs=ROUNDING_BYTES)
    if broken and maps_weights:
        assert seen["copied"] == 0
    if maps_weights:
        assert seen["copied"] + seen["pages"] == pytest.approx(seen["weights"], abs=ROUNDING_BYTES)
    else:
        assert seen["copied"] == pytest.approx(seen["weights"], abs=ROUNDING_BYTES)
        assert seen["pages"] == 0
    assert seen["resident"] == pytest.approx(seen["copied"] + min(seen["mapped"], seen["pages"]), abs=ROUNDING_BYTES)
    assert seen["other"] < seen["before"] + ROUNDING_BYTES
