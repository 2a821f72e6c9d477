"""Every answer carries the name of its request, and what is said of it is who may see it."""

from typing import Any

import pytest

from swell.errors import ServerBusyError
from swell.metrics.events import RequestFinished, RequestOutcome


@pytest.fixture
def finished(server: Any) -> list[RequestFinished]:
    """The requests that have ended."""
    ended: list[RequestFinished] = []
    server.scheduler.metrics.watch(lambda event: ended.append(event) if isinstance(event, RequestFinished) else None)
    return ended


CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/", None, 200),
        ("GET", "/api/version", None, 200),
        ("GET", "/nothing", None, 404),
        ("PUT", "/api/chat", None, 405),
        ("POST", "/api/chat", {}, 400),
        ("POST", "/api/chat", CHAT, 200),
        ("POST", "/api/chat", {**CHAT, "stream": False}, 200),
        ("POST", "/v1/chat/completions", {**CHAT, "stream": True}, 200),
        ("POST", "/v1/messages", {**CHAT, "max_tokens": 5}, 200),
        ("POST", "/v1/messages", {**CHAT, "model": "none", "max_tokens": 5}, 404),
    ],
)
def test_every_answer_has_the_name_that_its_client_gave(
    server: Any, finished: list[RequestFinished], method: str, path: str, body: Any, status: int
) -> None:
    response = server.request(method, path, json=body, headers={"X-Request-Id": "my-7"})

    assert response.status_code == status
    assert response.headers.get_list("x-request-id") == ["my-7"]
    assert [(one.request, one.method, one.status) for one in finished] == [("my-7", method, status)]


@pytest.mark.parametrize("wanted", [None, "two words", "x" * 200])
def test_other_answers_have_a_name_of_their_own(server: Any, wanted: str | None) -> None:
    headers = {} if wanted is None else {"X-Request-Id": wanted}
    names = {server.request("GET", "/", headers=headers).headers["x-request-id"] for _ in range(2)}
    assert len(names) == 2
    assert all(name.startswith("req_") for name in names)


def test_anthropics_errors_say_the_same_name(server: Any) -> None:
    response = server.post("/v1/messages", model="none", max_tokens=1, messages=CHAT["messages"])
    assert response.json()["request_id"] == response.headers["x-request-id"] == response.headers["request-id"]


@pytest.mark.parametrize("header", [{"host": "example.com"}, {"origin": "http://example.com"}])
@pytest.mark.parametrize("path", ["/metrics", "/api/events"])
def test_pages_and_names_that_are_not_ours_see_nothing(server: Any, path: str, header: dict[str, str]) -> None:
    response = server.request("GET", path, headers=header)
    assert (response.status_code, response.text) == (403, "")
    assert response.headers["x-request-id"]


def test_only_the_paths_of_routes_are_endpoints(server: Any, finished: list[RequestFinished]) -> None:
    server.request("GET", "/v1/models/anybody's")
    server.request("GET", "/anything/at/all")
    server.request("GET", "/", headers={"host": "example.com"})
    assert [one.endpoint for one in finished] == ["/v1/models/{model:path}", "other", "other"]


def test_the_numbers_of_an_answer(server: Any, finished: list[RequestFinished]) -> None:
    server.runner.cached_tokens = 2
    server.lines("/api/generate", model="tiny", prompt="abc", raw=True)
    (one,) = finished
    assert (one.outcome, one.model, one.prompt_tokens, one.cached_tokens) == (RequestOutcome.OK, "tiny:latest", 4, 2)
    assert one.generated_tokens == 3  # two that are shown, and the one that ends the text
    assert one.first_token_s is not None
    assert 0 < one.first_token_s < one.total_s


def test_several_answers_side_by_side_are_one_request(server: Any, finished: list[RequestFinished]) -> None:
    assert server.post("/v1/chat/completions", **CHAT, n=3).status_code == 200
    (one,) = finished
    assert one.generated_tokens == 9
    assert server.scheduler.metrics.turns == set()


def test_embeddings_count_what_was_read(server: Any, finished: list[RequestFinished]) -> None:
    assert server.post("/api/embed", model="embed", input="four").status_code == 200
    (one,) = finished
    assert (one.model, one.prompt_tokens, one.generated_tokens) == ("embed:latest", 5, 0)


def test_a_failure_is_told_by_its_class(server: Any, finished: list[RequestFinished]) -> None:
    server.scheduler.error = ServerBusyError()
    assert server.post("/api/chat", **CHAT).status_code == 503
    (one,) = finished
    assert (one.outcome, one.error) == (RequestOutcome.SERVER_ERROR, "ServerBusyError")


def test_an_answer_that_breaks_off_is_a_failure_though_it_began_well(
    server: Any, finished: list[RequestFinished]
) -> None:
    server.runner.script = ["a", ValueError("broken")]
    server.request("POST", "/v1/chat/completions", json={**CHAT, "stream": True})
    (one,) = finished
    assert (one.status, one.outcome, one.error) == (200, RequestOutcome.SERVER_ERROR, "ValueError")
