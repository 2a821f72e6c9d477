"""The endpoints under /v1: wire formats, errors in each API's words, and clients that leave."""

import json
from typing import Any

import pytest

from swell.errors import RunnerLostError, ServerBusyError
from swell.settings import Settings

CHAT, COMPLETIONS, RESPONSES, MESSAGES = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
)  # fmt: skip
INPUT_TOKENS = "/v1/responses/input_tokens"
HI = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "tiny", "messages": HI},
    COMPLETIONS: {"model": "tiny", "prompt": "Hi"},
    RESPONSES: {"model": "tiny", "input": "Hi"},
    MESSAGES: {"model": "tiny", "messages": HI, "max_tokens": 5},
}


def _events(text: str) -> list[tuple[str | None, str]]:
    """The name and data of each event."""
    assert text.endswith("\n\n")
    events = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        events.append((fields.get("event"), fields["data"]))
    return events


@pytest.mark.parametrize("path", BODIES)
def test_a_stream_is_events(server: Any, path: str) -> None:
    response = server.post(path, stream=True, **BODIES[path])
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    events = _events(response.text)
    if path in (CHAT, COMPLETIONS):
        assert all(name is None for name, _ in events)
        assert events[-1][1] == "[DONE]"
    else:
        assert all(name == json.loads(data)["type"] for name, data in events)


@pytest.mark.parametrize("path", BODIES)
def test_an_answer_in_one_piece_is_json(server: Any, path: str) -> None:
    response = server.post(path, **BODIES[path])
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert "Hello" in response.text
    assert server.scheduler.leases == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_an_error_before_the_first_token_has_a_status(server: Any, path: str, stream: bool) -> None:
    server.runner.script = [RunnerLostError(-9)]
    response = server.post(path, stream=stream, **BODIES[path])
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert error["type"] == "api_error"
    assert "unexpectedly stopped" in error["message"]


@pytest.mark.parametrize("path", BODIES)
def test_an_error_after_it_is_the_last_event(server: Any, path: str) -> None:
    server.runner.script = ["Hel", RunnerLostError(-9)]
    response = server.post(path, stream=True, **BODIES[path])
    assert response.status_code == 200
    name, data = _events(response.text)[-1]
    body = json.loads(data)
    if path == RESPONSES:
        assert (name, body["response"]["error"]["code"]) == ("response.failed", "server_error")
    else:
        assert name == ("error" if path == MESSAGES else None)
        assert body["error"]["type"] == "api_error"
    assert "unexpectedly stopped" in data


@pytest.mark.parametrize("path", BODIES)
def test_an_answer_in_one_piece_is_whole_or_an_error(server: Any, path: str) -> None:
    """Where Ollama's endpoints give what there is, beside the error; these APIs have no place for that."""
    server.runner.script = ["Hel", RunnerLostError(-9)]
    response = server.post(path, **BODIES[path])
    assert response.status_code == 500
    assert "unexpectedly stopped" in response.json()["error"]["message"]


@pytest.mark.parametrize("path", BODIES)
def test_a_busy_server_asks_to_come_back(server: Any, path: str) -> None:
    server.scheduler.error = ServerBusyError()
    response = server.post(path, **BODIES[path])
    assert response.status_code == 503
    assert response.json()["error"]["type"] == ("overloaded_error" if path == MESSAGES else "api_error")


@pytest.mark.parametrize(
    ("path", "body", "status", "type"),
    [
        (CHAT, {"messages": []}, 400, "invalid_request_error"),
        (CHAT, {"model": "nope"}, 404, "not_found_error"),
        (CHAT, {"model": ""}, 400, "invalid_request_error"),
        (CHAT, {"model": "embed"}, 400, "invalid_request_error"),
        (CHAT, {"top_logprobs": 21}, 400, "invalid_request_error"),
        (CHAT, {"messages": "Hi"}, 400, "invalid_request_error"),
        (COMPLETIONS, {"model": ""}, 404, "not_found_error"),
        (COMPLETIONS, {"prompt": ["a", "b"]}, 400, "invalid_request_error"),
        (COMPLETIONS, {"prompt": [1, 2]}, 400, "invalid_request_error"),
        (COMPLETIONS, {"suffix": "a"}, 400, "invalid_request_error"),
        ("/v1/embeddings", {"model": "tiny", "input": "a"}, 400, "invalid_request_error"),
        ("/v1/embeddings", {"model": "nope", "input": "a"}, 404, "not_found_error"),
        ("/v1/embeddings", {"model": "embed", "input": "a", "encoding_format": "hex"}, 400, "invalid_request_error"),
        (RESPONSES, {"input": ""}, 400, "invalid_request_error"),
        (INPUT_TOKENS, {"model": "tiny"}, 400, "invalid_request_error"),
        (INPUT_TOKENS, {"model": "nope", "input": "Hi"}, 404, "not_found_error"),
        (MESSAGES, {"model": "nope"}, 404, "not_found_error"),
        (MESSAGES, {"max_tokens": 0}, 400, "invalid_request_error"),
        ("/v1/messages/count_tokens", {"model": "", "messages": HI}, 400, "invalid_request_error"),
    ],
)
def test_errors(server: Any, path: str, body: dict[str, Any], status: int, type: str) -> None:
    response = server.post(path, **{**BODIES.get(path, {}), **body})
    assert response.status_code == status
    error = response.json()
    assert error["error"]["type"] == type
    assert error["error"]["message"]
    if path.startswith(MESSAGES):
        assert list(error) == ["type", "error", "request_id"]
    else:
        assert list(error) == ["error"]
        assert list(error["error"]) == ["message", "type", "param", "code"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "x" * 50}]}),
        (COMPLETIONS, {"suffix": "x"}),
        (RESPONSES, {"input": "x" * 50}),
    ],
)
def test_openais_clients_know_a_prompt_that_is_too_long(
    server: Any, make_gguf: Any, path: str, body: dict[str, Any], stream: bool
) -> None:
    server.with_facts(middle_tokens=(11, 12, 13), context_max=4 if path == COMPLETIONS else 20)
    model = str(make_gguf(tokens=["<|fim_middle|>"]))
    response = server.post(path, **{**BODIES[path], **body, "model": model, "stream": stream})
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "context_length_exceeded")
    numbers = ("7 tokens", "holds 4;") if path == COMPLETIONS else ("68 tokens", "holds 20;")
    assert all(number in error["message"] for number in numbers), error["message"]
    assert "exceeds the available context size" in error["message"]


def test_a_text_to_embed_of_which_nothing_is_left(server: Any) -> None:
    server.settings = Settings(context_length=1)
    error = server.post("/v1/embeddings", model="embed", input="x" * 50).json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "context_length_exceeded")


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_clients_know_a_prompt_that_is_too_long(server: Any, stream: bool) -> None:
    """One that fills the window is: no room is left for an answer."""
    prompt = "<user><assistant>"
    for length, error_type in ((2, None), (3, "invalid_request_error")):
        server.with_window(len(prompt) + 4)
        messages = [{"role": "user", "content": "x" * length}]
        response = server.post(MESSAGES, **{**BODIES[MESSAGES], "messages": messages, "stream": stream})
        assert response.status_code == (400 if error_type else 200)
        if error_type:
            error = response.json()["error"]
            assert error["type"] == error_type
            assert error["message"].startswith("prompt is too long: 21 tokens > 20 maximum; the request exceeds the av")
            assert "the context window holds 21;" in error["message"]


@pytest.mark.parametrize("content", [b"", b"{", b"5", b"[]", b"\xff"])
@pytest.mark.parametrize("path", [*BODIES, "/v1/embeddings", "/v1/messages/count_tokens"])
def test_bodies_that_are_none(server: Any, path: str, content: bytes) -> None:
    response = server.request("POST", path, content=content)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("bad", [rb"\ud83d", b"\xe9"])
@pytest.mark.parametrize("path", ["/api/chat", *BODIES])
def test_bodies_that_are_no_unicode_are_read_as_by_go(server: Any, path: str, bad: bytes) -> None:
    body = json.dumps({**BODIES.get(path, BODIES[CHAT]), "stream": False}).encode().replace(b"Hi", b"H" + bad + b"i")
    assert server.request("POST", path, content=body).status_code == 200
    assert "H\ufffdi" in "".join(map(chr, server.runner.prompts[0]))


def test_models(server: Any) -> None:
    listed = server.request("GET", "/v1/models").json()
    assert listed["object"] == "list"
    assert sorted(entry["id"] for entry in listed["data"]) == ["embed:latest", "tiny:latest"]
    assert all((entry["object"], entry["owned_by"]) == ("model", "library") for entry in listed["data"])
    assert server.request("GET", "/v1/models/").json() == listed
    assert server.request("GET", "/v1/models/Tiny").json()["id"] == "Tiny"
    unknown = server.request("GET", "/v1/models/a%2Fb")
    assert unknown.status_code == 404
    assert unknown.json()["error"]["type"] == "not_found_error"


def test_embeddings(server: Any) -> None:
    reply = server.post("/v1/embeddings", model="embed", input=["a", ""]).json()
    assert list(reply) == ["object", "data", "model", "usage"]
    assert [(one["object"], one["index"]) for one in reply["data"]] == [("embedding", 0), ("embedding", 1)]
    assert reply["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    packed = server.post("/v1/embeddings", model="embed", input="a", encoding_format="base64", dimensions=1).json()
    assert packed["data"][0]["embedding"] == "AACAPw=="


def test_counting_computes_nothing(server: Any) -> None:
    tokens = 1 + len("<system>s<user>Hi<assistant>")
    reply = server.post("/v1/messages/count_tokens", model="tiny", messages=HI, system="s").json()
    assert reply == {"input_tokens": tokens}
    reply = server.post(INPUT_TOKENS, model="tiny", input="Hi", instructions="s").json()
    assert reply == {"object": "response.input_tokens", "input_tokens": tokens}
    assert server.runner.prompts == []


def test_what_was_cached_of_a_prompt_is_counted(server: Any) -> None:
    server.runner.cached_tokens = 5
    tokens = 1 + len("<user>Hi<assistant>")
    for path in (CHAT, COMPLETIONS):
        usage = server.post(path, **BODIES[path]).json()["usage"]
        assert (usage["prompt_tokens"], usage["prompt_tokens_details"]) == (tokens, {"cached_tokens": 5})
    usage = server.post(RESPONSES, **BODIES[RESPONSES]).json()["usage"]
    assert (usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"]) == (tokens, 5)
    for answer in (server.post(MESSAGES, **BODIES[MESSAGES]).json(), _started(server)):
        assert (answer["usage"]["input_tokens"], answer["usage"]["cache_read_input_tokens"]) == (tokens - 5, 5)
    assert "cached_tokens" not in server.post("/api/chat", **BODIES[CHAT]).text


def _started(server: Any) -> Any:
    """The message as its stream begins."""
    return json.loads(_events(server.post(MESSAGES, **BODIES[MESSAGES], stream=True).text)[0][1])["message"]


def test_a_stop_sequence_is_named(server: Any) -> None:
    server.runner.script = ["One.", " T", "wo.", " Three."]
    body = {**BODIES[MESSAGES], "stop_sequences": ["Three", "wo"]}
    message = server.post(MESSAGES, **body).json()
    assert message["content"] == [{"type": "text", "text": "One. T"}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "wo")
    events = dict(_events(server.post(MESSAGES, **body, stream=True).text))
    delta = json.loads(events["message_delta"])["delta"]
    assert delta == {"stop_reason": "stop_sequence", "stop_sequence": "wo"}


@pytest.mark.parametrize(
    ("path", "wish"),
    [
        (CHAT, {"parallel_tool_calls": False}),
        (RESPONSES, {"parallel_tool_calls": False}),
        (MESSAGES, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
    ],
)
def test_one_call_at_a_time(server: Any, make_gguf: Any, path: str, wish: dict[str, Any]) -> None:
    server.runner.script = ["<tool_call>", '{"name": "f", "arguments": {"a": 1}}', "</tool_call>"] * 2
    function = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    tool = {
        CHAT: {"type": "function", "function": function},
        RESPONSES: {"type": "function", **function},
        MESSAGES: {"name": "f", "input_schema": function["parameters"]},
    }[path]
    template = "{% for tool in tools or () %}{{ tool.function.name }}{% endfor %}<tool_call>{{ messages[-1].content }}"
    body = {**BODIES[path], "model": str(make_gguf(template=template)), "tools": [tool]}

    def calls(**more: Any) -> int:
        text: str = server.post(path, **body, **more).text
        return text.count('"name":"f","arguments"') + text.count('"tool_use","id"')

    assert (calls(), calls(**wish)) == (2, 1)
    assert calls(**wish, stream=True) * 2 == calls(stream=True)


def test_seeds_of_several_answers(server: Any) -> None:
    choices = server.post(CHAT, n=3, seed=5, **BODIES[CHAT]).json()["choices"]
    assert [choice["message"]["content"] for choice in choices] == ["Hello"] * 3
    assert sorted(sampling.seed for sampling in server.runner.samplings) == [5, 6, 7]
    assert server.scheduler.leases == 0
