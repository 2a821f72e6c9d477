"""Conversations of a model with a sliding window whose end changes from turn to turn, through a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.server import Server, running
from tests.tiny.attention import write_gemma3
from tests.tiny.weights import ModelFile, add_bytes

PROMPT = "".join(chr(97 + (index * 7) % 26) for index in range(400))
LONG_END = "".join(chr(65 + (index * 11) % 26) for index in range(800))
"""So much that the window has left the prompt behind. A model with random weights may end its answers before that."""
OTHER_END = "0123456789"


@pytest.fixture(scope="module")
def sliding(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("models") / "sliding.gguf"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelFile.write, "__defaults__", (add_bytes,))
        write_gemma3(path)
    return str(path)


@pytest.fixture(params=["8", "0"], ids=["checkpoints", "none"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    environment = {"OLLAMA_NUM_PARALLEL": "1", "SWELL_CHECKPOINTS": str(request.param)}
    with running(tmp_path / "log", environment) as started:
        yield started


def stats(server: Server) -> dict[str, Any]:
    (row,) = server.http.get("/stats").json()["models"]
    return dict(row["stats"])


def test_a_turn_that_leaves_out_the_end_of_the_last_is_not_read_from_the_beginning(
    server: Server, sliding: str, request: pytest.FixtureRequest
) -> None:
    server.generate(PROMPT, predict=1, model=sliding)
    server.generate(PROMPT + LONG_END, predict=1, model=sliding)
    before = stats(server)["totals"]["cached"]
    server.generate(PROMPT + OTHER_END, predict=4, model=sliding)
    seen = stats(server)
    has_checkpoints = request.node.callspec.params["server"] != "0"
    assert seen["totals"]["cached"] - before == (len(PROMPT) if has_checkpoints else 0)
    assert (seen["kv_checkpoint_bytes"] > 0) == has_checkpoints
    assert seen["kv_checkpoint_bytes"] <= seen["kv_granted_bytes"]
    assert seen["faults"] == []
    row, kernel = server.loaded(), server.runner().memory_info().rss
    assert row["size"] == pytest.approx(kernel, rel=0.05)
    assert row["weights_used"] + row["kv_used"] + row["other_used"] == pytest.approx(row["size"], rel=0.05)
