"""Where memory is a little more than the weights: a long context is refused rather than let the disk compute."""

import os
import shutil
from pathlib import Path

import pytest
from tests.control_group import new_group
from tests.e2e.server import running

from swell.scheduler.accounts import HEADROOM_MIN_BYTES

pytestmark = pytest.mark.destructive

SETTINGS = {
    "OLLAMA_NUM_PARALLEL": "1",
    "OLLAMA_KV_CACHE_INIT": "256",
    "OLLAMA_KV_CACHE_GROW": "256",
    "SWELL_KV_HEADROOM": "1MB",  # raised to the least there may be
    "SWELL_KV_WAIT": "0",
}
ENOUGH_BYTES = 1_000_000_000
ROOM_BYTES = 25_000_000
"""For compute buffers, 15 MB of them, and for some 400 cells."""
SENTENCE = "The quick brown fox. "
SENTENCE_TOKENS = 5
PROMPTS_TOKENS = range(250, 2251, 250)
FAULTS_MAX = 10
"""Reading all weights once takes some 300, of half a megabyte each."""


@pytest.fixture
def cold_model(model_path: Path, tmp_path: Path) -> Path:
    """A copy that isn't in the page cache, so that its pages count for the group that first reads them."""
    path = Path(shutil.copy(model_path, tmp_path / "cold.gguf"))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def test_a_long_context_does_not_drive_the_weights_out(log: Path, cold_model: Path) -> None:
    with new_group() as group, running(log, SETTINGS, before=group.enter_with(ENOUGH_BYTES)) as server:
        server.generate("Hello", predict=1, model=str(cold_model))
        assert group.stat("active_file") + group.stat("inactive_file") > cold_model.stat().st_size
        group.leave_free_bytes(cold_model.stat().st_size + HEADROOM_MIN_BYTES + ROOM_BYTES)
        faults = group.stat("pgmajfault")
        statuses = []
        for tokens in PROMPTS_TOKENS:
            body = {"model": str(cold_model), "prompt": SENTENCE * (tokens // SENTENCE_TOKENS), "raw": True}
            response = server.http.post("/api/generate", json={**body, "stream": False, "options": {"num_predict": 8}})
            statuses.append(response.status_code)
        assert statuses[0] == 200
        assert statuses[-1] == 400
        assert response.json()["error"].startswith("insufficient memory while expanding the KV cache")
        assert group.stat("pgmajfault") - faults <= FAULTS_MAX
