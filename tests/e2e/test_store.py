"""A store as Ollama lays it out, used by a real server on the real model."""

import json
from pathlib import Path

import pytest
from tests.e2e.server import running
from tests.models.laid_out import add_model


def tree(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["llama3.2", "LLAMA3.2:latest"])
def test_a_model_that_ollama_has_pulled_is_run(model_path: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "models"
    layers = {"system": "You are a pirate.", "params": json.dumps({"num_predict": 5, "temperature": 0})}
    add_model(folder, "registry.ollama.ai/library/llama3.2/latest", model_path, **layers)
    before = tree(folder)
    with running(tmp_path / "log", {"OLLAMA_MODELS": str(folder)}) as server:
        listed = [model["name"] for model in server.http.get("/api/tags").json()["models"]]
        assert listed == ["llama3.2:latest", "smollm2:135m"]
        chat = server.ask("/api/chat", model=name, messages=[{"role": "user", "content": "Who are you?"}])
        assert chat["eval_count"] == 5
        explicit = server.ask("/api/generate", model=name, prompt="Who are you?", system="You are a pirate.")
        assert explicit["response"] == chat["message"]["content"]
        assert server.loaded()["name"] == "llama3.2:latest"
    assert tree(folder) == before
