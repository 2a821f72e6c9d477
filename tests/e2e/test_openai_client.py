"""The official `openai` client, unmodified, against a real server; its own types must accept every answer."""

import asyncio
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse
from openai.types import Model as ModelEntry
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import BaseModel
from tests.e2e.server import MODEL, Server, running
from tests.tiny.encoder import ENCODER_WIDTH, write_bert

QUESTION: Any = [{"role": "user", "content": "What is 2+2? Answer with one number."}]
GREEDY: dict[str, Any] = {"model": MODEL, "temperature": 0, "max_tokens": 12}
CITY = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Oslo"]}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Not the one all tests share, because more than one model is loaded here."""
    with running(tmp_path_factory.mktemp("openai server") / "log") as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as connected:
        yield connected


def valid(answer: BaseModel) -> None:
    """The client builds its objects without a look at what is in them; this looks."""
    type(answer).model_validate(answer.model_dump(exclude_unset=True))


def test_chats(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(messages=QUESTION, **GREEDY)
    valid(answer)
    assert answer.id.startswith("chatcmpl-")
    assert (answer.object, answer.model, answer.system_fingerprint) == ("chat.completion", MODEL, "fp_ollama")
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert choice.logprobs is None
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert 0 < answer.usage.completion_tokens <= 12


def test_streams_a_chat(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(messages=QUESTION, **GREEDY)
    with client.chat.completions.create(
        messages=QUESTION, stream=True, stream_options={"include_usage": True}, **GREEDY
    ) as stream:
        chunks = list(stream)
    for chunk in chunks:
        valid(chunk)
    assert len({(chunk.id, chunk.created) for chunk in chunks}) == 1
    *pieces, finish, usage = chunks
    assert [piece.choices[0].delta.role for piece in pieces] == ["assistant", *[None] * (len(pieces) - 1)]
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == whole.choices[0].message.content
    assert finish.choices[0].finish_reason == whole.choices[0].finish_reason
    assert finish.choices[0].delta.content is None
    assert usage.choices == []
    assert usage.usage is not None
    assert whole.usage is not None
    assert usage.usage.total_tokens == whole.usage.total_tokens
    assert usage.usage.prompt_tokens_details is not None
    assert usage.usage.prompt_tokens_details.cached_tokens == usage.usage.prompt_tokens - 1  # the last is computed


def test_several_answers_of_one_seed_differ_but_can_be_had_again(client: openai.OpenAI) -> None:
    def ask(n: int) -> ChatCompletion:
        wish: dict[str, Any] = {**GREEDY, "temperature": 1.5, "seed": 7, "n": n}
        answer: ChatCompletion = client.chat.completions.create(
            messages=[{"role": "user", "content": "Name an animal, and tell a story about it."}], **wish
        )
        valid(answer)
        return answer

    first, second, third = ask(3).choices
    assert [choice.index for choice in (first, second, third)] == [0, 1, 2]
    assert len({choice.message.content for choice in (first, second, third)}) > 1
    assert ask(1).choices[0].message.content == first.message.content


def test_streams_several_answers(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(messages=QUESTION, stream=True, n=2, **GREEDY))
    texts = ["", ""]
    for chunk in chunks:
        valid(chunk)
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts[0] == texts[1]
    assert sum(chunk.choices[0].finish_reason is not None for chunk in chunks) == 2


@pytest.mark.parametrize("streams", [False, True])
def test_likelihoods(client: openai.OpenAI, streams: bool) -> None:
    wish: dict[str, Any] = {**GREEDY, "max_tokens": 3, "logprobs": True, "top_logprobs": 2}
    if streams:
        chunks = list(client.chat.completions.create(messages=QUESTION, stream=True, **wish))
        found = [chunk.choices[0].logprobs for chunk in chunks]
    else:
        answer = client.chat.completions.create(messages=QUESTION, **wish)
        valid(answer)
        found = [answer.choices[0].logprobs]
    tokens = [token for logprobs in found if logprobs is not None for token in logprobs.content or ()]
    assert len(tokens) <= 3
    for token in tokens:
        assert token.logprob <= 0
        assert bytes(token.bytes or ()).decode() == token.token
        assert len(token.top_logprobs) == 2


def test_a_stop_string_ends_the_answer(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(messages=QUESTION, **GREEDY).choices[0].message.content or ""
    stop = whole[len(whole) // 2 :]
    cut = client.chat.completions.create(messages=QUESTION, stop=stop, **GREEDY).choices[0]
    assert cut.message.content == whole[: len(whole) // 2]
    assert cut.finish_reason == "stop"


def test_follows_a_schema(client: openai.OpenAI) -> None:
    class City(BaseModel):
        city: str

    prompt: Any = [{"role": "user", "content": "Which city is the capital of France? Answer in JSON."}]
    limited = {**GREEDY, "max_tokens": 60}
    parsed = client.chat.completions.parse(messages=prompt, response_format=City, **limited)
    assert isinstance(parsed.choices[0].message.parsed, City)
    free = client.chat.completions.create(messages=prompt, response_format={"type": "json_object"}, **limited)
    assert isinstance(json.loads(free.choices[0].message.content or ""), dict)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_forced_tool_is_called_as_its_schema_says(
    client: openai.OpenAI, speller: str, choice: Any, streams: bool
) -> None:
    """By a model that by itself would write nonsense. Its answer, and the tool's, go back to it."""
    tool: Any = {"type": "function", "function": {"name": "weather", "description": "Today's.", "parameters": CITY}}
    wish: dict[str, Any] = {"model": speller, "tools": [tool], "max_tokens": 500}
    if streams:
        with client.chat.completions.stream(messages=QUESTION, tool_choice=choice, **wish) as stream:
            answer: ChatCompletion = stream.get_final_completion()
    else:
        answer = client.chat.completions.create(messages=QUESTION, tool_choice=choice, **wish)
    valid(answer)
    (found,) = answer.choices
    assert found.finish_reason == "tool_calls"
    assert found.message.tool_calls is not None
    (call,) = found.message.tool_calls
    assert call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments)["city"] in ("Paris", "Oslo")
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    messages: Any = [*QUESTION, found.message, result]
    again = client.chat.completions.create(messages=messages, **{**wish, "max_tokens": 2})
    assert again.choices[0].finish_reason in ("stop", "length")


def test_a_forced_tool_in_a_response(client: openai.OpenAI, speller: str) -> None:
    tool: Any = {"type": "function", "name": "weather", "parameters": CITY, "strict": True}
    wish: dict[str, Any] = {"model": speller, "tools": [tool], "tool_choice": "required", "max_output_tokens": 500}
    whole = client.responses.create(input="Weather?", **wish)
    events = list(client.responses.create(input="Weather?", stream=True, **wish))
    for event in events:
        valid(event)
    assert events[-1].type == "response.completed"
    for response in (whole, events[-1].response):
        valid(response)
        call = response.output[-1]
        assert call.type == "function_call"
        assert json.loads(call.arguments)["city"] in ("Paris", "Oslo")
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    again = client.responses.create(
        model=speller, max_output_tokens=2, input=[{"role": "user", "content": "Weather?"}, *whole.output, result]
    )
    assert again.status == "completed"


def test_parts_and_roles(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        messages=[
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "What is"}, {"type": "text", "text": "2+2?"}]},
            {"role": "assistant", "content": "4"},
            {"role": "user", "content": "And 3+3?"},
        ],
        **GREEDY,
    )
    assert answer.choices[0].message.content


def test_completes(client: openai.OpenAI) -> None:
    whole = client.completions.create(prompt="The sky is", logprobs=1, **GREEDY)
    valid(whole)
    (choice,) = whole.choices
    assert whole.object == "text_completion"
    assert choice.finish_reason in ("stop", "length")
    assert choice.logprobs is not None
    assert len(choice.logprobs.tokens or ()) == len(choice.logprobs.text_offset or ())
    chunks = list(
        client.completions.create(prompt="The sky is", stream=True, stream_options={"include_usage": True}, **GREEDY)
    )
    *pieces, usage = chunks
    assert "".join(piece.choices[0].text for piece in pieces) == choice.text
    assert pieces[-1].choices[0].finish_reason == choice.finish_reason
    assert all(piece.usage is not None and piece.usage.total_tokens == 0 for piece in pieces)
    assert usage.choices == []
    assert usage.usage is not None
    assert whole.usage is not None
    assert usage.usage.total_tokens == whole.usage.total_tokens
    assert isinstance(client.completions.create(prompt="", **GREEDY), Completion)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("encoder") / "bert.gguf"
    write_bert(path)
    return str(path)


def test_embeds(client: openai.OpenAI, encoder: str) -> None:
    packed = client.embeddings.create(model=encoder, input=["why is the sky blue?", "a dog"])  # asks for base64
    plain = client.embeddings.create(model=encoder, input="why is the sky blue?", encoding_format="float")
    short = client.embeddings.create(model=encoder, input="a dog", dimensions=8)
    for answer in (packed, plain, short):
        assert isinstance(answer, CreateEmbeddingResponse)
        valid(answer)
    assert [one.index for one in packed.data] == [0, 1]
    assert len(packed.data[0].embedding) == ENCODER_WIDTH
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-5)
    assert math.hypot(*short.data[0].embedding) == pytest.approx(1)
    assert len(short.data[0].embedding) == 8
    assert plain.usage.prompt_tokens == plain.usage.total_tokens == 8


def test_lists_models(client: openai.OpenAI) -> None:
    (listed,) = client.models.list().data
    valid(listed)
    assert (listed.id, listed.owned_by) == (MODEL, "library")
    found = client.models.retrieve("SmolLM2:135m")
    assert isinstance(found, ModelEntry)
    assert found.id == "SmolLM2:135m"
    assert found.created == listed.created


def test_responds(client: openai.OpenAI) -> None:
    wish: dict[str, Any] = {"model": MODEL, "temperature": 0, "max_output_tokens": 12}
    whole = client.responses.create(input="What is 2+2?", instructions="Be short.", **wish)
    valid(whole)
    assert whole.status == "completed"
    assert whole.output_text
    assert whole.usage is not None
    assert 0 < whole.usage.output_tokens <= 12
    events = list(client.responses.create(input="What is 2+2?", instructions="Be short.", stream=True, **wish))
    for event in events:
        valid(event)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == whole.output_text
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == whole.output_text
    assert last.response.usage is not None
    assert last.response.usage.total_tokens == whole.usage.total_tokens
    details = last.response.usage.input_tokens_details
    assert details.cached_tokens == last.response.usage.input_tokens - 1  # the last one is always computed
    counted = client.responses.input_tokens.count(model=MODEL, input="What is 2+2?", instructions="Be short.")
    assert counted.input_tokens == whole.usage.input_tokens


def test_responds_to_a_conversation(client: openai.OpenAI) -> None:
    with client.responses.stream(
        model=MODEL,
        input=[
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [{"type": "input_text", "text": "What is 2+2?"}]},
            {"role": "assistant", "content": "4"},
            {"role": "user", "content": "And 3+3?"},
        ],
        max_output_tokens=8,
    ) as stream:
        final = stream.get_final_response()
    assert isinstance(final, Response)
    assert final.output_text


def test_errors_are_the_clients_own(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nonesuch", messages=QUESTION)
    assert isinstance(unknown.value.body, dict)
    assert unknown.value.body["message"] == "model 'nonesuch' not found"
    assert unknown.value.type == "not_found_error"
    image: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    with pytest.raises(openai.BadRequestError, match="does not support vision") as refused:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": [image]}])
    assert refused.value.type == "invalid_request_error"
    for overflow in (
        lambda: client.chat.completions.create(messages=[{"role": "user", "content": "word " * 9000}], **GREEDY),
        lambda: client.responses.create(model=MODEL, input="word " * 9000, stream=True),
    ):
        with pytest.raises(openai.BadRequestError, match="context window holds 8192") as long:
            overflow()
        assert long.value.code == "context_length_exceeded"
    for call in (
        lambda: client.models.retrieve("nonesuch"),
        lambda: client.completions.create(model="nonesuch", prompt="a", stream=True),
        lambda: client.embeddings.create(model="nonesuch", input="a"),
        lambda: client.responses.create(model="nonesuch", input="a", stream=True),
    ):
        with pytest.raises(openai.NotFoundError):
            call()
    for bad in (
        lambda: client.chat.completions.create(messages=[], **GREEDY),
        lambda: client.chat.completions.create(messages=QUESTION, reasoning_effort="high", **GREEDY),
        lambda: client.embeddings.create(model=MODEL, input="a"),
        lambda: client.embeddings.create(model=MODEL, input=[[1, 2]]),
        lambda: client.responses.create(model=MODEL, input="a", previous_response_id="resp_1"),
    ):
        with pytest.raises(openai.BadRequestError):
            bad()


def test_asynchronous_requests_side_by_side(server: Server) -> None:
    async def ask(client: openai.AsyncOpenAI, number: int) -> str:
        messages: Any = [{"role": "user", "content": f"Say the number {number}."}]
        text = ""
        async for chunk in await client.chat.completions.create(messages=messages, stream=True, **GREEDY):
            assert isinstance(chunk, ChatCompletionChunk)
            text += chunk.choices[0].delta.content or ""
        return text

    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(4)))

    assert all(asyncio.run(ask_all()))
