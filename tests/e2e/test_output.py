"""What comes out: structured, with likelihoods, past the end of the window, and as the options say."""

import asyncio
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from tests.e2e import streams
from tests.e2e.server import MODEL, Server, running
from tests.waiting import wait_until

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 1, "maximum": 120},
        "height": {"type": "number", "exclusiveMinimum": 0, "maximum": 2.5},
        "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"},
        "sex": {"enum": ["f", "m", "x"]},
    },
    "required": ["name", "age", "height", "code", "sex"],
    "additionalProperties": False,
}
COUNT = "".join(f"{number} " for number in range(1, 40))
STORY = "Once upon a time there was a lighthouse keeper who"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Its own, with one slot: what came before must not change how a prompt is cut into batches."""
    with running(tmp_path_factory.mktemp("server") / "log", {"OLLAMA_NUM_PARALLEL": "1"}) as started:
        yield started


def story(server: Server, **options: Any) -> str:
    """A sampled continuation. The cache is emptied first, so that the same options give the same text."""
    server.generate("x", predict=1)
    settings = {"temperature": 1.0, "seed": 7, "num_predict": 24, **options}
    return str(server.ask("/api/generate", prompt=STORY, raw=True, options=settings)["response"])


def _stats(server: Server) -> dict[str, Any]:
    (row,) = server.http.get("/stats").json()["models"]
    return dict(row["stats"])


@pytest.mark.slow
def test_a_schema_is_followed_in_a_hundred_of_a_hundred_runs(tmp_path: Path) -> None:
    async def ask(client: httpx.AsyncClient, turns: asyncio.Semaphore, seed: int) -> Any:
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "Describe a person."}],
            "format": PERSON,
            "stream": False,
            "options": {"temperature": 1, "seed": seed, "num_predict": 200},
        }
        async with turns:
            answer = await client.post("/api/chat", json=body)
        return json.loads(answer.json()["message"]["content"])

    async def ask_all(url: str) -> list[Any]:
        turns = asyncio.Semaphore(8)
        async with httpx.AsyncClient(base_url=url, timeout=240, trust_env=False) as client:
            return await asyncio.gather(*(ask(client, turns, seed) for seed in range(100)))

    with running(tmp_path / "log", {"OLLAMA_NUM_PARALLEL": "8"}) as server:
        people = asyncio.run(ask_all(server.url))
    assert len(people) == 100
    for person in people:
        jsonschema.validate(person, PERSON)
    assert len({json.dumps(person) for person in people}) > 50


def test_json_is_an_object(server: Server) -> None:
    answer = server.generate("A person as JSON:", predict=100, format="json", options={"seed": 3, "temperature": 0.8})
    if answer["done_reason"] == "stop":
        assert isinstance(json.loads(answer["response"]), dict)
    assert answer["response"].lstrip().startswith("{")


def test_a_schema_that_is_none_is_refused(server: Server) -> None:
    body = {"model": MODEL, "prompt": "x", "stream": False, "format": {"type": "nonsense"}}
    response = server.http.post("/api/generate", json=body)
    assert response.status_code == 400
    assert "invalid format" in response.json()["error"]
    assert server.generate("1 2 3", predict=1)["done"]


def test_a_schema_that_takes_too_much_is_refused_and_disturbs_nobody(server: Server) -> None:
    """Each definition needs the next one twice: 200 bytes a level, twice the memory."""
    definitions: dict[str, object] = {"d40": {"type": "object"}}
    for level in range(40):
        part = {"$ref": f"#/$defs/d{level + 1}", "type": "object"}
        definitions[f"d{level}"] = {"type": "object", "properties": {"l": part, "r": part}, "required": ["l", "r"]}
    schema = {"$defs": definitions, "$ref": "#/$defs/d0"}
    body = {"model": MODEL, "prompt": "x", "stream": False, "format": schema}
    undisturbed = streams.answer(server, "/api/generate", {"prompt": COUNT, "raw": True})
    refused: list[httpx.Response] = []

    def disturb(line: int) -> None:
        if line == 5:
            refused.append(server.http.post("/api/generate", json=body))

    runner = server.runner()
    assert streams.answer(server, "/api/generate", {"prompt": COUNT, "raw": True}, disturb) == undisturbed
    assert [one.status_code for one in refused] == [400]
    assert "invalid format" in refused[0].json()["error"]
    assert server.runner() == runner


def test_ten_thousand_values(server: Server) -> None:
    values = [f"value number {number}" for number in range(10_000)]
    reply = server.generate("The value:", predict=30, format={"enum": values})
    assert json.loads(reply["response"]) in values


@pytest.mark.parametrize("stream", [True, False])
def test_every_token_comes_with_its_likelihood(server: Server, stream: bool) -> None:
    options = {"temperature": 0, "num_predict": 10}
    body = {"model": MODEL, "prompt": COUNT, "raw": True, "logprobs": True, "top_logprobs": 3, "stream": stream}
    response = server.http.post("/api/generate", json={**body, "options": options})
    lines = [json.loads(line) for line in response.text.splitlines()]
    entries = [entry for line in lines for entry in line.get("logprobs", ())]
    assert len(entries) == 10
    assert "".join(entry["token"] for entry in entries) == "".join(line["response"] for line in lines)
    for entry in entries:
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert entry["logprob"] <= 0
        top = [other["logprob"] for other in entry["top_logprobs"]]
        assert len(top) == 3
        assert top == sorted(top, reverse=True)
        assert top[0] == entry["logprob"]  # greedy took the likeliest
        assert sum(map(math.exp, top)) <= 1.0001


def test_there_are_no_likelihoods_unless_asked(server: Server) -> None:
    assert "logprobs" not in server.generate(COUNT, predict=3)


def test_the_token_that_ends_an_answer_counts(server: Server) -> None:
    answer = server.generate("x", predict=20, format={"const": "ab"}, logprobs=True)
    assert (answer["response"], answer["done_reason"]) == ('"ab"', "stop")
    assert answer["eval_count"] == len(answer["logprobs"]) + 1


def test_a_full_window_is_shifted_and_the_answer_goes_on(server: Server) -> None:
    answer = server.generate(COUNT, predict=250, options={"num_ctx": 192, "num_keep": 4})
    assert answer["eval_count"] == 250
    assert answer["done_reason"] == "length"
    numbers = [int(word) for word in answer["response"].split()[:20]]
    assert numbers == list(range(40, 60))
    (row,) = server.http.get("/stats").json()["models"]
    assert row["stats"]["context_used"] <= 192


def test_without_shifting_a_full_window_ends_the_answer(server: Server) -> None:
    answer = server.generate(COUNT, predict=400, shift=False, options={"num_ctx": 192})
    assert answer["prompt_eval_count"] + answer["eval_count"] == 192
    assert answer["done_reason"] == "length"


def test_what_was_shifted_is_not_taken_for_the_beginning_of_another_prompt(server: Server) -> None:
    plain = server.generate("The sky is", predict=8)["response"]
    shifted = server.generate("The sky is", predict=100, options={"num_ctx": 64, "num_keep": 0})
    assert shifted["eval_count"] == 100
    assert server.generate("The sky is", predict=8)["response"] == plain


def test_the_same_seed_gives_the_same_text(server: Server) -> None:
    assert story(server) == story(server)
    assert story(server) != story(server, seed=8)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0},
        {"temperature": 3.0},
        {"top_k": 1},
        {"top_p": 0.05},
        {"min_p": 0.9},
        {"typical_p": 0.05},
        {"repeat_penalty": 5.0},
        {"presence_penalty": 20.0},
        {"frequency_penalty": 20.0},
        {"mirostat": 1, "mirostat_tau": 0.5},
        {"mirostat": 2, "mirostat_tau": 0.5},
        {"num_predict": 3},
        {"stop": ["a"]},
    ],
)
def test_every_option_has_an_effect(server: Server, options: dict[str, Any]) -> None:
    assert story(server, **options) != story(server)


def test_penalties_look_back_as_far_as_told(server: Server) -> None:
    near = story(server, repeat_penalty=5.0, repeat_last_n=2)
    far = story(server, repeat_penalty=5.0, repeat_last_n=200)
    assert near != far
    assert story(server, repeat_penalty=5.0, repeat_last_n=0) == story(server)


def test_mirostat_is_steered_by_its_parameters(server: Server) -> None:
    base = story(server, mirostat=2, mirostat_tau=5.0, mirostat_eta=0.1)
    assert base != story(server, mirostat=2, mirostat_tau=0.1, mirostat_eta=0.1)
    assert base != story(server, mirostat=2, mirostat_tau=5.0, mirostat_eta=0.9)


def test_a_single_candidate_is_the_greedy_one(server: Server) -> None:
    assert story(server, top_k=1) == story(server, temperature=0)


def test_text_ends_before_a_stop_string(server: Server) -> None:
    answer = server.generate(COUNT, predict=100, options={"stop": [" 47", "never"]})
    assert answer["response"] == "40 41 42 43 44 45 46"
    assert answer["done_reason"] == "stop"


def test_endless_repetition_ends_an_answer(server: Server, log: Path) -> None:
    """Which this model can be made to do on every processor: otherwise it stops laughing on some."""
    laughter, forced = "ha " * 40 + "ha", {"type": "string", "pattern": "^( ha){200}$"}
    server.generate("x", predict=1)
    before = _stats(server)["totals"]["generated"]
    answer = server.generate(laughter, predict=-1, format=forced)
    assert (answer["response"], answer["done_reason"]) == ('"' + " ha" * 31, "length")
    wait_until(lambda: _stats(server)["slots_in_use"] == 0, "the slot is idle")
    assert _stats(server)["totals"]["generated"] - before < 100

    cached = _stats(server)["totals"]["cached"]
    again = server.generate(laughter + answer["response"], predict=1)
    assert _stats(server)["totals"]["cached"] - cached == again["prompt_eval_count"] - 1

    with running(log, {"SWELL_REPEAT_GUARD": "0"}) as free:
        assert free.generate(laughter, predict=60, format=forced)["response"] == '"' + " ha" * 59


def test_keeping_more_than_the_window_is_no_reason_to_fail(server: Server) -> None:
    answer = server.generate(COUNT * 3, predict=80, options={"num_ctx": 128, "num_keep": -1})
    assert answer["eval_count"] == 80
