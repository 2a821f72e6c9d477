"""The real model with a template in Go's language, in a store and in requests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.server import MODEL, Server, running
from tests.models.laid_out import add_model

pytestmark = pytest.mark.slow

OWN_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
MESSAGES = (
    "{{ if not .System }}<|im_start|>system\n" + OWN_SYSTEM + "<|im_end|>\n{{ end }}"
    "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n"
)
ONE_TURN = (
    "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
    "{{ if .Prompt }}<|im_start|>user\n{{ .Prompt }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n{{ .Response }}<|im_end|>\n"
)
CONVERSATION = [
    {"role": "system", "content": "You count."},
    {"role": "user", "content": "One, two,\n\nthree?"},
    {"role": "assistant", "content": "Four."},
    {"role": "user", "content": "And then?"},
]
OPTIONS: dict[str, Any] = {"temperature": 0, "num_predict": 12}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model_path: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    for name, template in (("messages", MESSAGES), ("one-turn", ONE_TURN), ("loops", "{{ range 999999999 }}{{ end }}")):
        add_model(folder / "models", f"registry.ollama.ai/library/{name}/latest", model_path, template=template)
    with running(folder / "log", {"OLLAMA_MODELS": str(folder / "models")}) as started:
        yield started


@pytest.mark.parametrize("name", ["messages", "one-turn"])
@pytest.mark.parametrize(
    "messages", [CONVERSATION, CONVERSATION[:2], [*CONVERSATION, {"role": "assistant", "content": "Fi"}]]
)
def test_an_equal_template_makes_the_same_tokens(server: Server, name: str, messages: list[dict[str, str]]) -> None:
    go, jinja = (server.ask("/api/chat", model=one, messages=messages, options=OPTIONS) for one in (name, MODEL))
    assert go["prompt_eval_count"] == jinja["prompt_eval_count"]
    assert go["message"] == jinja["message"]


def test_the_same_prompt_of_generate(server: Server) -> None:
    go, jinja = (server.ask("/api/generate", model=one, prompt="Hi", options=OPTIONS) for one in ("messages", MODEL))
    assert go["context"] == jinja["context"]
    override = server.ask("/api/generate", prompt="Hi", options=OPTIONS, template=MESSAGES)
    assert override["context"] == jinja["context"]


def test_what_is_shown(server: Server) -> None:
    assert server.http.post("/api/show", json={"model": "messages"}).json()["template"] == MESSAGES


def test_a_template_without_end_is_an_error_that_says_why(server: Server) -> None:
    body = {"model": "loops", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
    for _ in range(2):
        refused = server.http.post("/api/chat", json=body)
        assert refused.status_code == 400
        assert "takes too long" in refused.json()["error"]
