"""The whole command on the real model, with as little to measure as there can be."""

import subprocess
import sys
from pathlib import Path

import pytest

from swell.bench.child import call
from swell.bench.command import read
from swell.bench.errors import BenchError
from swell.bench.results import WasteResult


@pytest.mark.slow
def test_everything_is_measured(model_path: Path, tmp_path: Path) -> None:
    options = ["--quick", "--threads", "1", "--slots", "1", "--no-peer", "--results", str(tmp_path)]
    command = [sys.executable, "-m", "swell", "bench", "kv", str(model_path), *options]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    for title in (
        "Waste of the KV cache",
        "Waste of the process",
        "Growth",
        "Creation",
        "Decode speed",
        "Time to first token",
    ):
        assert f"\n{title}\n" in run.stdout
    (written,) = tmp_path.glob("kv-*.json")
    assert str(model_path.parent) not in written.read_text()
    report = read(written)
    assert written.with_suffix(".md").read_text().startswith(f"# KV cache: {model_path.name}\n")
    reserved, copied, eager = report.waste
    assert [one.subject for one in report.waste] == ["reserved", "copied", "eager"]
    assert all(step.ensure_s > 0 for step in report.growth["reserved"].steps)
    assert [one.used_tokens for one in reserved.result.stages] == [512, 128]
    for one in reserved.result.stages:
        assert 1.0 <= (one.kv_resident_bytes or 0) / (one.used_tokens * report.cell_bytes) < 1.1
    (turns,) = report.turns
    assert (turns.subject, len(turns.result.first_token_s)) == ("reserved", 2)
    assert min(turns.result.first_token_s) > 0
    assert eager.result.created_kv_resident_bytes == 512 * report.cell_bytes
    assert copied.result.stages[0].kv_resident_bytes == 512 * report.cell_bytes


def test_a_measurement_that_fails_says_why() -> None:
    with pytest.raises(BenchError, match=r"unable to measure waste: exit code 1(.|\n)*ValidationError"):
        call("waste", {"setup": "none"}, WasteResult)
