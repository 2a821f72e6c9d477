"""Whether what `swell doctor` says fits is what a real server has room for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.control_group import new_group
from tests.e2e.server import MODEL, running

LIMIT_BYTES = 240 << 20
TOLERANCE = 0.2
"""Of the window: what a header tells of a runner's own needs is an estimate."""


@pytest.mark.destructive
def test_what_fits_fits_and_not_much_more(tmp_path: Path) -> None:
    settings = {"SWELL_KV_WAIT": "0", "OLLAMA_HOST": "127.0.0.1:1", "OLLAMA_MODELS": str(tmp_path)}
    command = [sys.executable, "-m", "swell", "doctor", MODEL, "--json"]
    with new_group() as group:
        enter = group.enter_with(LIMIT_BYTES)
        done = subprocess.run(command, capture_output=True, env={**os.environ, **settings}, preexec_fn=enter)
    (model,) = json.loads(done.stdout)["facts"]["models"]
    (window,) = (fit["window_tokens"] for fit in model["fits"] if fit["cache_type"] == "f16")
    assert 0 < window < 8192 / (1 + TOLERANCE)
    with new_group() as group, running(tmp_path / "log", settings, before=group.enter_with(LIMIT_BYTES)) as server:
        fitting, too_long = int(window * (1 - TOLERANCE)), int(window * (1 + TOLERANCE))
        assert server.generate("a " * fitting, predict=1)["prompt_eval_count"] > fitting
        body = {"model": MODEL, "raw": True, "stream": False, "prompt": "a " * too_long}
        refused = server.http.post("/api/generate", json=body)
        assert refused.status_code == 400
        assert "insufficient memory" in refused.json()["error"]
