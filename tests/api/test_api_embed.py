"""/api/embed and /api/embeddings: the order of their checks, what is cut, and their answers."""

import math
from typing import Any

import pytest

from swell.errors import RunnerLostError
from swell.settings import Settings

EMBED, LEGACY = "/api/embed", "/api/embeddings"
MODEL = "embed"
BOS = 1


def _tokens(text: str) -> list[int]:
    """As the scripted tokenizer makes them."""
    return [BOS, *map(ord, text)]


def test_one_text(server: Any) -> None:
    response = server.post(EMBED, model="Embed", input="Hi")

    assert response.headers["content-type"] == "application/json; charset=utf-8"
    reply = response.json()
    assert list(reply) == ["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"]
    assert (reply["model"], reply["prompt_eval_count"]) == ("Embed", 3)
    assert reply["embeddings"] == [pytest.approx([3 / 13, 4 / 13, 12 / 13])]
    assert reply["total_duration"] > reply["load_duration"] > 0
    assert server.runner.embedded == [_tokens("Hi")]
    assert server.scheduler.leases == 0


def test_several_texts(server: Any) -> None:
    reply = server.post(EMBED, model=MODEL, input=["a", "", "bcd"], keep_alive="5m").json()

    assert len(reply["embeddings"]) == 3
    assert reply["prompt_eval_count"] == 2 + 1 + 4
    assert server.runner.embedded == [_tokens("a"), _tokens(""), _tokens("bcd")]
    assert server.scheduler.calls == [("lease", "embed:latest", 300.0)]


@pytest.mark.parametrize("dimensions", [0, -1, 3, 4])
def test_all_dimensions(server: Any, dimensions: int) -> None:
    reply = server.post(EMBED, model=MODEL, input="a", dimensions=dimensions).json()
    assert reply["embeddings"] == [pytest.approx([3 / 13, 4 / 13, 12 / 13])]


def test_fewer_dimensions_are_normalised_again(server: Any) -> None:
    assert server.post(EMBED, model=MODEL, input="a", dimensions=2).json()["embeddings"] == [pytest.approx([0.6, 0.8])]


def test_a_null_vector_stays_one(server: Any) -> None:
    server.runner.vector = [0.0, 0.0]
    assert server.post(EMBED, model=MODEL, input="a").json()["embeddings"] == [[0.0, 0.0]]


@pytest.mark.parametrize(("path", "text"), [(EMBED, "input"), (LEGACY, "prompt")])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_vector_with_what_is_no_number(server: Any, path: str, text: str, value: float) -> None:
    server.runner.vector = [1.0, value]
    status, error = server.refused(path, model=MODEL, **{text: "a"})
    assert status == 500
    assert "NaN" in error


@pytest.mark.parametrize("body", [{}, {"input": None}, {"input": ""}, {"input": []}])
@pytest.mark.parametrize("model", ["embed", "tiny"])
def test_load(server: Any, model: str, body: dict[str, object]) -> None:
    assert server.post(EMBED, model=model, keep_alive=0, **body).json() == {"model": model, "embeddings": []}
    assert server.scheduler.calls == [("lease", f"{model}:latest", 0.0)]


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": None}])
def test_load_the_old_way(server: Any, body: dict[str, object]) -> None:
    assert server.post(LEGACY, model=MODEL, **body).json() == {"embedding": []}
    assert server.scheduler.calls == [("lease", "embed:latest", None)]


def test_the_old_way(server: Any) -> None:
    assert server.post(LEGACY, model=MODEL, prompt="Hi").json() == {"embedding": [3.0, 4.0, 12.0]}
    assert server.runner.embedded == [_tokens("Hi")]


@pytest.mark.parametrize(("num_ctx", "kept"), [(3, "ab"), (2, "a"), (6, "abcde"), (7, "abcdef"), (9999, "abcdef")])
def test_a_long_text_is_cut_after_its_first_special_token(server: Any, num_ctx: int, kept: str) -> None:
    reply = server.post(EMBED, model=MODEL, input="abcdef", options={"num_ctx": num_ctx}).json()
    assert server.runner.embedded == [_tokens(kept)]
    assert reply["prompt_eval_count"] == 1 + len(kept)
    assert server.runner.cut_tokens == len("abcdef") - len(kept)


def test_the_limit_is_the_models_or_the_settings(server: Any) -> None:
    server.with_window(5)
    server.post(EMBED, model=MODEL, input="abcdef", options={"num_ctx": 100})
    server.settings = Settings(context_length=4)
    server.post(EMBED, model=MODEL, input="abcdef")
    assert server.runner.embedded == [_tokens("abcd"), _tokens("abc")]


@pytest.mark.parametrize("num_ctx", [1, 0, -4])
def test_nothing_would_be_left(server: Any, num_ctx: int) -> None:
    refused = server.refused(EMBED, model=MODEL, input="abc", options={"num_ctx": num_ctx})
    assert refused == (400, "input after truncation exceeds maximum context length")
    assert server.scheduler.leases == 0


def test_a_long_text_that_may_not_be_cut(server: Any) -> None:
    body = {"model": MODEL, "options": {"num_ctx": 4}}
    too_long = "the input length exceeds the context length"

    assert server.refused(EMBED, input=["a", "abcd"], truncate=False, **body) == (400, too_long)
    assert server.refused(LEGACY, prompt="abcd", **body) == (500, too_long)
    assert server.post(EMBED, input="abc", truncate=False, **body).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "Nope", "input": 5, "keep_alive": "10"}, 400, 'time: missing unit in duration "10"'),
        ({"model": "Nope", "input": 5}, 400, "invalid input type"),
        ({"input": ["a", 5]}, 400, "invalid input type"),
        ({"input": ["a", None]}, 400, "invalid input type"),
        ({"input": {"a": 1}}, 400, "invalid input type"),
        ({"model": "", "input": "a"}, 404, "model '' not found"),
        ({"model": "a b", "input": "a"}, 400, "invalid model name"),
        ({"model": "Nope", "input": "a", "options": {"num_ctx": "x"}}, 404,
         'model "Nope" not found, try pulling it first'),
        ({"model": "tiny", "input": "a", "options": {"num_ctx": "x"}}, 500,
         'option "num_ctx" must be of type integer'),
        ({"model": "tiny", "input": "a"}, 501, '"tiny" does not support embeddings'),
    ],
)  # fmt: skip
def test_refusals(server: Any, body: dict[str, object], status: int, text: str) -> None:
    assert server.refused(EMBED, **{"model": MODEL, **body}) == (status, text)
    assert server.scheduler.calls == []


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"model": "", "prompt": "a"}, 400, "model is required"),
        ({"model": "Nope", "prompt": "a"}, 404, 'model "Nope" not found, try pulling it first'),
        ({"prompt": "a", "options": {"num_ctx": "x"}}, 500, 'option "num_ctx" must be of type integer'),
        ({"model": "tiny", "prompt": "a"}, 501, '"tiny" does not support embeddings'),
    ],
)
def test_refusals_the_old_way(server: Any, body: dict[str, object], status: int, text: str) -> None:
    assert server.refused(LEGACY, **{"model": MODEL, **body}) == (status, text)
    assert server.scheduler.calls == []


@pytest.mark.parametrize(("path", "text"), [(EMBED, "input"), (LEGACY, "prompt")])
def test_a_lost_runner(server: Any, path: str, text: str) -> None:
    server.scheduler.error = RunnerLostError(-9)
    status, error = server.refused(path, model=MODEL, **{text: "a"})
    assert status == 500
    assert "unexpectedly stopped" in error
