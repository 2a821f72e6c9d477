"""Workers are wanted, but llama.cpp was built without RPC, as it is by default."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.server import MODEL, running


def test_a_server_that_knows_workers_says_what_is_missing(log: Path) -> None:
    with running(log, {"SWELL_WORKERS": "127.0.0.1:1"}) as server:
        response = server.http.post("/api/generate", json={"model": MODEL, "stream": False})
        assert response.status_code == 500
        assert "built without RPC" in response.json()["error"]


def test_a_worker_says_what_is_missing() -> None:
    command = [sys.executable, "-m", "swell", "worker", "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "Error: the llama.cpp library can't be used: it was built without RPC" in ended.stderr
