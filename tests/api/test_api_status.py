"""Routes, methods and texts that have nothing to do with models."""

from typing import Any

import pytest

from swell import OLLAMA_API_VERSION, __version__
from swell.settings import Settings


def test_the_server_says_that_it_is_there(server: Any) -> None:
    for method in ("GET", "HEAD"):
        response = server.request(method, "/")
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert server.request("GET", "/").text == "Ollama is running"


def test_version(server: Any) -> None:
    response = server.request("GET", "/api/version")

    assert response.json() == {"version": OLLAMA_API_VERSION, "swell": __version__}
    assert response.headers["content-type"] == "application/json; charset=utf-8"


def test_health(server: Any) -> None:
    assert server.request("GET", "/health").json() == {"status": "ok"}


@pytest.mark.parametrize(("setting", "longest"), [(0, 2048), (512, 512), (100_000, 2048)])
def test_status_has_the_longest_context(server: Any, setting: int, longest: int) -> None:
    server.settings = Settings(context_length=setting)
    found = server.request("GET", "/api/status").json()
    assert found == {"cloud": {"disabled": True, "source": "none"}, "context_length": longest}
    entries = server.request("GET", "/v1/models").json()["data"]
    assert [entry["max_model_len"] for entry in entries] == [longest, longest]


@pytest.mark.parametrize("path", ["/", "/health", "/api/version", "/api/tags"])
def test_head_is_answered_where_clients_use_it(server: Any, path: str) -> None:
    assert server.request("HEAD", path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/show"), ("HEAD", "/api/ps"), ("GET", "/api/chat"), ("POST", "/api/tags")]
)
def test_wrong_methods(server: Any, method: str, path: str) -> None:
    response = server.request(method, path)

    assert response.status_code == 405
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    if method != "HEAD":
        assert response.json() == {"error": "405 method not allowed"}


def test_wrong_methods_are_told_the_right_ones(server: Any) -> None:
    allowed = {path: server.request("PUT", path).headers["allow"] for path in ("/", "/api/ps", "/v1/messages")}
    assert allowed == {"/": "GET, HEAD", "/api/ps": "GET", "/v1/messages": "POST"}


def test_a_wrong_method_in_the_words_of_each_api(server: Any) -> None:
    openai = server.request("GET", "/v1/chat/completions").json()["error"]
    assert (openai["message"], openai["type"]) == ("405 method not allowed", "invalid_request_error")
    anthropic = server.request("GET", "/v1/messages").json()
    assert anthropic["error"] == {"type": "invalid_request_error", "message": "405 method not allowed"}


@pytest.mark.parametrize("path", ["/nope", "/apinope", "/v1nope"])
def test_unknown_paths(server: Any, path: str) -> None:
    response = server.request("POST", path)

    assert (response.status_code, response.text) == (404, "404 page not found")
    assert response.headers["content-type"].startswith("text/plain")


def test_slashes_in_a_row_count_as_one(server: Any) -> None:
    """As comes of a base address that ends with a slash."""
    assert (
        server.request("GET", "http://127.0.0.1:11434//api/version").json()
        == server.request("GET", "/api/version").json()
    )
    assert server.post("/v1//chat///completions").json()["error"]["message"] == "[] is too short - 'messages'"
    assert server.request("GET", "http://127.0.0.1:11434//").status_code == 200
    response = server.request("GET", "/v1//nope")
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found_error")
    assert server.request("DELETE", "/v1//models").status_code == 405


def test_unknown_paths_in_the_words_of_each_api(server: Any) -> None:
    for path in ("/api", "/api/nope", "/v1", "/v1/systemone", "/v1/messages/nope"):
        response = server.request("POST", path)
        assert response.status_code == 404
        assert response.headers["content-type"].startswith("application/json")
    assert server.request("GET", "/api/nope").json() == {"error": "404 page not found"}
    error = server.request("GET", "/v1/nope").json()["error"]
    assert (error["message"], error["type"]) == ("404 page not found", "not_found_error")
    anthropic = server.request("GET", "/v1/messages/nope").json()
    assert (anthropic["type"], anthropic["error"]["type"]) == ("error", "not_found_error")
