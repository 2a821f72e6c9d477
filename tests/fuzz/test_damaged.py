"""Damaged files: a fixed choice of them. `python -m tests.fuzz --minutes 10` tries more."""

import contextlib
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import seeds

from swell.cache import CacheType
from swell.errors import ModelLoadError
from swell.models.model import open_model
from swell.scheduler import estimate

_READ, _LOADED = 400, 60


def test_the_server_reads_them_or_refuses_them_in_words(tmp_path: Path) -> None:
    sound, path, read = list(seeds(tmp_path)), tmp_path / "damaged.gguf", 0
    for number in range(_READ):
        chance = random.Random(f"read {number}")
        content, _ = mutate(chance, chance.choice(sound)[1])
        path.write_bytes(content)
        with contextlib.suppress(ModelLoadError):
            model = open_model(path, "x", "x")
            assert model.summary().size_bytes == len(content)
            estimate.estimate(model, slots=4, batch_tokens=256, initial_tokens=2048, cache_type=CacheType.F16)
            read += 1
    assert 0 < read < _READ


@pytest.mark.model
@pytest.mark.slow
def test_runners_load_them_or_refuse_them_or_crash() -> None:
    """They neither hang nor fill the memory, and crash rarely: some architectures of llama.cpp do, and what comes of
    that is tested with the scheduler."""
    command = [sys.executable, "-m", "tests.fuzz", "--files", str(_LOADED), "--seed", "tests"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
