"""The official `ollama` client, unmodified, against a real server."""

import asyncio
from collections.abc import Iterator

import ollama
import pytest
from tests.e2e.server import MODEL, Server

QUESTION = [{"role": "user", "content": "What is 2+2? Answer with one number."}]
OPTIONS = {"temperature": 0, "num_predict": 12}


@pytest.fixture
def client(server: Server) -> Iterator[ollama.Client]:
    with ollama.Client(host=server.url) as connected:
        yield connected


def test_lists(client: ollama.Client) -> None:
    (model,) = client.list().models
    assert model.model == MODEL
    assert model.details is not None
    assert (model.details.family, model.details.quantization_level) == ("llama", "Q4_1")
    assert model.digest is not None
    assert len(model.digest) == 64


def test_shows(client: ollama.Client) -> None:
    shown = client.show(MODEL)
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.context_length"] == 8192
    assert shown.template is not None
    assert "<|im_start|>" in shown.template
    assert shown.capabilities == ["completion"]


def test_generates(client: ollama.Client) -> None:
    whole = client.generate(MODEL, "The sky is", options=OPTIONS)
    parts = list(client.generate(MODEL, "The sky is", options=OPTIONS, stream=True))
    assert "".join(part.response or "" for part in parts) == whole.response
    last = parts[-1]
    assert last.done
    assert last.done_reason in ("stop", "length")
    assert last.context
    for number in (last.total_duration, last.load_duration, last.prompt_eval_duration, last.eval_duration):
        assert number is not None
        assert number > 0
    assert last.eval_count == whole.eval_count


def test_chats(client: ollama.Client) -> None:
    whole = client.chat(MODEL, QUESTION, options=OPTIONS)
    parts = list(client.chat(MODEL, QUESTION, options=OPTIONS, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert whole.message.role == "assistant"
    assert whole.prompt_eval_count == parts[-1].prompt_eval_count
    assert whole.created_at


def test_lists_what_is_loaded(client: ollama.Client) -> None:
    client.generate(MODEL, keep_alive="10m")
    (loaded,) = client.ps().models
    assert loaded.model == MODEL
    assert loaded.context_length == 8192
    assert loaded.size_vram == 0
    assert loaded.expires_at is not None


def test_an_unknown_model_is_the_clients_own_error(client: ollama.Client) -> None:
    for call in (client.generate, client.chat, client.show):
        with pytest.raises(ollama.ResponseError) as caught:
            call("nonesuch")
        assert caught.value.status_code == 404
        assert "not found" in caught.value.error


def test_asynchronous_clients_share_a_model(server: Server) -> None:
    async def ask(number: int) -> str:
        messages = [{"role": "user", "content": f"Say the number {number}."}]
        async with ollama.AsyncClient(host=server.url) as client:
            answer = await client.chat(MODEL, messages, options=OPTIONS)
        return answer.message.content or ""

    async def ask_all() -> list[str]:
        return await asyncio.gather(*(ask(number) for number in range(6)))

    assert all(asyncio.run(ask_all()))
    assert len(server.runners()) == 1
