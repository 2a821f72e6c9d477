"""The official `anthropic` client, unmodified, against a real server; its own types must accept every answer."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel
from tests.e2e.server import MODEL, Server, running

QUESTION: Any = [{"role": "user", "content": "What is 2+2? Answer with one number."}]
GREEDY: dict[str, Any] = {"model": MODEL, "max_tokens": 12, "extra_body": {"temperature": 0}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Not the one all tests share, because more than one model is loaded here."""
    with running(tmp_path_factory.mktemp("anthropic server") / "log") as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key="unused", max_retries=0) as connected:
        yield connected


def valid(answer: BaseModel) -> None:
    """The client builds its objects without a look at what is in them; this looks."""
    type(answer).model_validate(answer.model_dump(exclude_unset=True))


def test_answers(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(messages=QUESTION, system="Be short.", **GREEDY)
    valid(answer)
    assert answer.id.startswith("msg_")
    assert len(answer.id) == len("msg_") + 24
    assert (answer.type, answer.role, answer.model) == ("message", "assistant", MODEL)
    (block,) = answer.content
    assert block.type == "text"
    assert block.text
    assert answer.stop_reason in ("end_turn", "max_tokens")
    assert 0 < answer.usage.output_tokens <= 12


def test_streams(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(messages=QUESTION, **GREEDY)
    events = list(client.messages.create(messages=QUESTION, stream=True, **GREEDY))
    for event in events:
        valid(event)
    types = [event.type for event in events]
    deltas = ["content_block_delta"] * types.count("content_block_delta")
    assert types == [
        *("message_start", "content_block_start"),
        *deltas,
        *("content_block_stop", "message_delta", "message_stop"),
    ]
    with client.messages.stream(messages=QUESTION, **GREEDY) as stream:
        final = stream.get_final_message()
    assert [block.to_dict() for block in final.content] == [block.to_dict() for block in whole.content]
    assert final.stop_reason == whole.stop_reason
    assert read_tokens(final.usage) == read_tokens(whole.usage)
    assert final.usage.cache_read_input_tokens == read_tokens(final.usage) - 1  # the last one is always computed
    assert final.usage.output_tokens == whole.usage.output_tokens


def read_tokens(usage: Any) -> int:
    """Of the whole prompt, as clients add them up."""
    return int(usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens)


def test_counts_the_tokens_of_the_very_prompt(client: anthropic.Anthropic) -> None:
    messages: Any = [
        {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "2+2?"}]},
        {"role": "assistant", "content": "4"},
        *QUESTION,
    ]
    counted = client.messages.count_tokens(model=MODEL, messages=messages, system=[{"type": "text", "text": "Short!"}])
    valid(counted)
    answer = client.messages.create(messages=messages, system="Short!", **GREEDY)
    assert counted.input_tokens == read_tokens(answer.usage)
    longer = client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "word " * 9000}])
    assert longer.input_tokens > 9000


def test_stop_sequences_and_limits(client: anthropic.Anthropic) -> None:
    sampled = {"temperature": 0.5, "top_k": 1, "top_p": 0.5}
    limited = client.messages.create(model=MODEL, messages=QUESTION, max_tokens=1, extra_body=sampled)
    assert limited.stop_reason == "max_tokens"
    assert limited.usage.output_tokens == 1
    stopped = client.messages.create(messages=QUESTION, stop_sequences=["2", "4", " "], **GREEDY)
    assert (stopped.stop_reason, stopped.stop_sequence) in [("stop_sequence", one) for one in ("2", "4", " ")]
    with client.messages.stream(messages=QUESTION, stop_sequences=["2", "4", " "], **GREEDY) as stream:
        streamed = stream.get_final_message()
    assert (streamed.stop_reason, streamed.stop_sequence) == (stopped.stop_reason, stopped.stop_sequence)


def test_follows_a_schema(client: anthropic.Anthropic) -> None:
    schema: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    answer = client.messages.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Which city is the capital of France? Answer in JSON."}],
        max_tokens=60,
        output_config={"format": {"type": "json_schema", "schema": schema}},
        extra_body={"temperature": 0},
    )
    (block,) = answer.content
    assert block.type == "text"
    assert list(json.loads(block.text)) == ["city"]


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "weather"}])
def test_a_forced_tool_is_called_as_its_schema_says(client: anthropic.Anthropic, speller: str, choice: Any) -> None:
    """By a model that by itself would write nonsense. Its answer, and the tool's, go back to it."""
    schema = {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    wish: dict[str, Any] = {"model": speller, "tools": [{"name": "weather", "input_schema": schema}]}
    whole = client.messages.create(messages=QUESTION, tool_choice=choice, max_tokens=500, **wish)
    with client.messages.stream(messages=QUESTION, tool_choice=choice, max_tokens=500, **wish) as stream:
        streamed = stream.get_final_message()
    for answer in (whole, streamed):
        valid(answer)
        assert answer.stop_reason == "tool_use"
        call: Any = answer.content[-1]
        assert call.type == "tool_use"
        assert call.name == "weather"
        assert call.input["city"] in ("Paris", "Oslo")
    result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    messages: Any = [*QUESTION, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    assert client.messages.create(messages=messages, max_tokens=2, **wish).usage.output_tokens <= 2


def test_a_wish_to_think_is_dropped_where_there_is_no_thinking(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(
        model=MODEL, messages=QUESTION, max_tokens=4, thinking={"type": "enabled", "budget_tokens": 1024}
    )
    assert [block.type for block in answer.content] == ["text"]


def test_errors_are_the_clients_own(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.messages.create(model="nonesuch", max_tokens=4, messages=QUESTION)
    assert isinstance(unknown.value.body, dict)
    assert unknown.value.body["error"] == {"type": "not_found_error", "message": "model 'nonesuch' not found"}
    assert unknown.value.body["request_id"].startswith("req_")
    image: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    refused: Any = (([], "messages is required"), ([{"role": "user", "content": [image]}], "vision"))
    for messages, text in refused:
        with pytest.raises(anthropic.BadRequestError, match=text):
            client.messages.create(model=MODEL, max_tokens=4, messages=messages, stream=True)
    with pytest.raises(anthropic.BadRequestError, match="max_tokens is required and must be positive"):
        client.messages.create(model=MODEL, max_tokens=0, messages=QUESTION)
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: 9\d{3} tokens > 8191 maximum"):
        client.messages.create(model=MODEL, max_tokens=4, messages=[{"role": "user", "content": "word " * 9000}])
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="nonesuch", messages=QUESTION)


def test_asynchronous_requests_side_by_side(server: Server) -> None:
    async def ask(client: anthropic.AsyncAnthropic, number: int) -> str:
        messages: Any = [{"role": "user", "content": f"Say the number {number}."}]
        async with client.messages.stream(messages=messages, **GREEDY) as stream:
            return await stream.get_final_text()

    async def ask_all() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key="unused", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(4)))

    assert all(asyncio.run(ask_all()))
