"""Thoughts and tool calls of the real model, through the real API and the official client."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ollama
import pytest
from tests.e2e.server import Server, running
from tests.e2e.templates import CALLS, THINKS, THINKS_AND_CALLS, write_with_template

CITIES = ["Paris", "Rome", "Oslo"]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": CITIES}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather of a city.", "parameters": WEATHER},
}
CALL = {
    "type": "object",
    "properties": {"name": {"const": "get_weather"}, "arguments": WEATHER},
    "required": ["name", "arguments"],
    "additionalProperties": False,
}
"""A `format` that leaves a model of this size no choice but to call the tool."""

QUESTION = {"role": "user", "content": "What will the weather be like in Paris over the next three days?"}
GREEDY = {"temperature": 0, "num_predict": 60}


@pytest.fixture(scope="module")
def models(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    templates = {"calls": CALLS, "thinks": THINKS, "both": THINKS_AND_CALLS}
    return {
        name: write_with_template(model_path, folder / f"{name}.gguf", template) for name, template in templates.items()
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {"OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_NUM_PARALLEL": "1"}
    with running(tmp_path_factory.mktemp("server") / "log", environment) as started:
        yield started


def _check_call(calls: Any) -> None:
    (call,) = calls
    assert call.function.name == "get_weather"
    assert call.function.arguments["city"] in CITIES
    assert 1 <= call.function.arguments["days"] <= 9


def test_the_official_client_calls_a_tool_and_uses_its_result(server: Server, models: dict[str, str]) -> None:
    with ollama.Client(host=server.url) as client:
        asked = client.chat(models["calls"], [QUESTION], tools=[TOOL], format=CALL, options=GREEDY)
        _check_call(asked.message.tool_calls)
        assert not asked.message.content
        assert asked.done_reason == "stop"

        result = {"role": "tool", "content": "Rain.", "tool_name": "get_weather"}
        history = [QUESTION, asked.message, result]
        answered = client.chat(models["calls"], history, tools=[TOOL], options=GREEDY)
        assert answered.message.content
        assert answered.prompt_eval_count > asked.prompt_eval_count


def test_the_asynchronous_client_streams_a_call(server: Server, models: dict[str, str]) -> None:
    async def ask() -> list[ollama.ChatResponse]:
        async with ollama.AsyncClient(host=server.url) as client:
            stream = await client.chat(
                models["calls"], [QUESTION], tools=[TOOL], format=CALL, options=GREEDY, stream=True
            )
            return [part async for part in stream]

    parts = asyncio.run(ask())
    _check_call([call for part in parts for call in part.message.tool_calls or ()])
    assert not any(part.message.content for part in parts)
    assert parts[-1].done


def test_a_call_has_an_id_and_a_number(server: Server, models: dict[str, str]) -> None:
    body = {"messages": [QUESTION], "tools": [TOOL], "format": CALL, "options": GREEDY}
    message = server.ask("/api/chat", model=models["calls"], **body)["message"]
    assert list(message) == ["role", "content", "tool_calls"]
    (call,) = message["tool_calls"]
    assert call["id"].startswith("call_")
    assert list(call["function"]) == ["index", "name", "arguments"]
    assert call["function"]["index"] == 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_begins_by_thinking(server: Server, models: dict[str, str], stream: bool) -> None:
    body = {"model": models["thinks"], "messages": [QUESTION], "options": GREEDY, "stream": stream}
    response = server.http.post("/api/chat", json=body)
    messages = [json.loads(line)["message"] for line in response.text.splitlines()]
    assert "".join(message.get("thinking", "") for message in messages)
    assert not any("<think>" in str(message) for message in messages)


def test_a_model_that_must_not_think(server: Server, models: dict[str, str]) -> None:
    message = server.ask("/api/chat", model=models["thinks"], messages=[QUESTION], think=False, options=GREEDY)[
        "message"
    ]
    assert message["content"]
    assert "thinking" not in message


def test_generate_tells_thoughts_from_the_response(server: Server, models: dict[str, str]) -> None:
    reply = server.ask("/api/generate", model=models["thinks"], prompt="Why?", options=GREEDY)
    assert list(reply)[:4] == ["model", "created_at", "response", "thinking"]
    assert reply["thinking"]
    assert reply["context"]


@pytest.mark.parametrize("name", ["thinks", "both"])
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_a_document_after_thoughts(server: Server, models: dict[str, str], name: str, path: str) -> None:
    """However the model thinks, or whether: what it answers follows the schema."""
    question = "2 + 2 = ? Be short."
    prompt = {"messages": [{"role": "user", "content": question}]} if path == "/api/chat" else {"prompt": question}
    options = {"temperature": 0, "num_predict": 400}
    reply = server.ask(path, model=models[name], **prompt, format=WEATHER, think=True, options=options)
    content = reply["message"]["content"] if path == "/api/chat" else reply["response"]
    assert reply["done_reason"] == "stop"
    assert json.loads(content)["city"] in CITIES


def test_no_thoughts_before_a_document_without_thinking(server: Server, models: dict[str, str]) -> None:
    message = server.ask(
        "/api/chat", model=models["thinks"], messages=[QUESTION], format=WEATHER, think=False, options=GREEDY
    )["message"]
    assert list(message) == ["role", "content"]
    assert json.loads(message["content"])["city"] in CITIES


def test_what_the_models_can_do(server: Server, models: dict[str, str]) -> None:
    with ollama.Client(host=server.url) as client:
        found = {name: client.show(model).capabilities for name, model in models.items()}
        assert found == {
            "calls": ["completion", "tools"],
            "thinks": ["completion", "thinking"],
            "both": ["completion", "tools", "thinking"],
        }
        with pytest.raises(ollama.ResponseError, match="does not support tools"):
            client.chat(models["thinks"], [QUESTION], tools=[TOOL])


def test_a_template_in_gos_language(server: Server, models: dict[str, str]) -> None:
    template = "{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}{{ .Prompt }}"
    body = {"model": models["calls"], "options": {"temperature": 0, "num_predict": 12}}
    replaced = server.ask("/api/generate", prompt="The sky is", template=template, **body)
    assert replaced["response"] == server.ask("/api/generate", prompt="The sky is", raw=True, **body)["response"]
