"""Ollama's cloud isn't there, which is said in Ollama's words."""

from typing import Any

import pytest

HI = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize("model", ["gpt-oss:20b-cloud", "new:cloud", "a/b:CLOUD"])
def test_its_models(server: Any, model: str) -> None:
    expected = (403, "ollama cloud is disabled: remote model is unavailable")
    assert server.refused("/api/chat", model=model, messages=HI) == expected
    assert server.refused("/api/generate", model=model, prompt="Hi") == expected
    assert server.refused("/api/embed", model=model, input="Hi") == expected
    assert server.refused("/api/show", model=model) == (
        403,
        "ollama cloud is disabled: remote model details are unavailable",
    )
    openai = server.post("/v1/chat/completions", model=model, messages=HI)
    assert (openai.status_code, openai.json()["error"]["message"]) == expected
    anthropic = server.post("/v1/messages", model=model, messages=HI, max_tokens=5)
    assert (anthropic.status_code, anthropic.json()["error"]["type"]) == (403, "permission_error")


def test_other_names_are_no_names_of_its_models(server: Any) -> None:
    assert server.refused("/api/chat", model="cloud", messages=HI) == (404, "model 'cloud' not found")
    assert server.refused("/api/chat", model="mycloud:7b", messages=HI) == (404, "model 'mycloud:7b' not found")


def test_its_other_services(server: Any) -> None:
    assert server.refused("/api/experimental/web_search", query="x") == (
        403,
        "ollama cloud is disabled: web search is unavailable",
    )
    assert server.refused("/api/experimental/web_fetch", url="x") == (
        403,
        "ollama cloud is disabled: web fetch is unavailable",
    )
    for path in ("/api/me", "/api/signout"):
        assert server.refused(path) == (401, "unauthorized")
    recommended = server.request("GET", "/api/experimental/model-recommendations")
    assert recommended.json() == {"recommendations": []}
